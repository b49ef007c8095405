import type { LettaEvent } from "./events";
import type { AskLetta } from "./messages";
import type {
  LettaAgent,
  LettaBlock,
  LettaEmbedding,
  LettaMessage,
  LettaModel,
  LettaRun,
  LettaTool,
  NewAgent,
  NewBlock,
} from "./resources";

/** An organization of Graphyn and what it has in Letta. */
export interface LettaTenant {
  orgId: string;
  lettaUserId: string;
  identityId: string;
}

/** The `identifier_key` of an organization's identity: the product's promise, to the letter (LET-1). */
export function identifierKey(orgId: string): string {
  return `org_${orgId}`;
}

/** Letta for one organization. Agents and blocks get its identity, and one without it is `not_found`, whatever its id. */
export interface LettaOrg {
  readonly orgId: string;
  /** The organization's user in Letta: by this name Letta's own requests to a model say whose they are. */
  readonly lettaUserId: string;
  readonly agents: {
    create(agent: NewAgent): Promise<LettaAgent>;
    get(id: string): Promise<LettaAgent>;
    /** All agents of the identity; of these the ones with all `tags`. */
    list(filter?: { tags?: string[] }): AsyncIterable<LettaAgent>;
    delete(id: string): Promise<void>;
  };
  readonly blocks: {
    create(block: NewBlock): Promise<LettaBlock>;
    list(filter: { tags: string[] }): AsyncIterable<LettaBlock>;
    delete(id: string): Promise<void>;
  };
  readonly archives: {
    create(name: string, embedding: LettaEmbedding): Promise<string>;
    delete(id: string): Promise<void>;
    attach(archiveId: string, agentId: string): Promise<void>;
    deleteNamed(name: string): Promise<void>;
    /** Ids of those with this name; of all the organization has without one. */
    named(name?: string): Promise<string[]>;
  };
  readonly tools: {
    /** Seeds Letta's own tools; Letta does so for its default organization only. Repeating it is harmless. */
    addBaseTools(): Promise<LettaTool[]>;
    byNames(names: string[]): Promise<LettaTool[]>;
  };
  readonly identity: {
    /** Makes or finds the organization's identity and gives its id. */
    upsert(name: string): Promise<string>;
    /** Its id in Letta, or null when it is not there. */
    find(): Promise<string | null>;
    delete(id: string): Promise<void>;
  };
  readonly models: {
    list(): Promise<LettaModel[]>;
    embeddings(): Promise<LettaEmbedding[]>;
  };
  readonly conversations: {
    create(agentId: string): Promise<string>;
    /** A new conversation that has everything the other has at that moment; its own system message is compiled anew. */
    fork(id: string): Promise<string>;
    delete(id: string): Promise<void>;
    /** A page of what Letta has stored of a conversation, newest first unless `order` says otherwise. */
    messages(id: string, page?: { limit?: number; after?: string; order?: "asc" | "desc" }): Promise<LettaMessage[]>;
    runs(id: string): Promise<LettaRun[]>;
  };
  /** Says something to an agent and streams its answer. One at a time in a conversation: Letta mixes two up. */
  streamMessage(message: AskLetta): AsyncGenerator<LettaEvent, void>;
  /** The same for an agent whose model is the gateway: all that Letta made of it, once it has stored it. */
  sendWhole(message: AskLetta): Promise<LettaEvent[]>;
  /** Resolves when Letta works no more on an earlier message of the conversation that was stopped. */
  settled(conversationId: string): Promise<void>;
  /** Stops what runs in a conversation and returns when Letta says that it has ended. False: Letta did not confirm it in time. */
  cancel(conversationId: string): Promise<boolean>;
}
