import { PAGE_SIZE } from "./config";
import { LettaError } from "./errors";
import type { LettaEvent } from "./events";
import type { Context } from "./letta";
import { type StreamMessage, stopRuns, streamMessage } from "./messages";
import {
  agentOf,
  blockOf,
  idOf,
  type LettaAgent,
  type LettaBlock,
  type LettaMessage,
  type LettaModel,
  type LettaRun,
  type LettaTool,
  list,
  messageOf,
  modelOf,
  type NewAgent,
  type NewBlock,
  runOf,
  toolOf,
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

/** Letta takes letters, digits, spaces, hyphens, underscores and apostrophes in an agent's name, and answers 500 to anything else. */
function plainName(name: string): string {
  const plain = name
    .normalize("NFC")
    .replace(/[^\p{L}\p{N}' _-]/gu, " ")
    .replace(/ +/g, " ")
    .trim();
  return plain === "" ? "agent" : plain;
}

/** Letta for one organization. Agents and blocks get its identity, and one without it is `not_found`, whatever its id. */
export interface LettaOrg {
  readonly orgId: string;
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
    create(name: string, embedding: string): Promise<string>;
    delete(id: string): Promise<void>;
    attach(archiveId: string, agentId: string): Promise<void>;
    deleteNamed(name: string): Promise<void>;
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
  };
  readonly models: {
    list(): Promise<LettaModel[]>;
    embeddings(): Promise<string[]>;
  };
  readonly conversations: {
    create(agentId: string): Promise<string>;
    delete(id: string): Promise<void>;
    /** A page of what Letta has stored of a conversation, newest first unless `order` says otherwise. */
    messages(id: string, page?: { limit?: number; after?: string; order?: "asc" | "desc" }): Promise<LettaMessage[]>;
    runs(id: string): Promise<LettaRun[]>;
  };
  /** Says something to an agent and streams its answer. One at a time in a conversation: Letta mixes two up. */
  streamMessage(message: StreamMessage): AsyncGenerator<LettaEvent, void>;
  /** Stops what runs in a conversation and returns when Letta says that it has ended. False: Letta did not confirm it in time. */
  cancel(conversationId: string): Promise<boolean>;
}

export function createOrg(context: Context, tenant: LettaTenant): LettaOrg {
  const { orgId, identityId } = tenant;
  const { pages } = context;
  const headers = { user_id: tenant.lettaUserId };
  const call: <T>(work: Parameters<typeof context.call<T>>[2]) => Promise<T> = (work) =>
    context.call(orgId, undefined, work);
  const key = identifierKey(orgId);
  const mine = (agent: LettaAgent): LettaAgent => {
    if (!agent.identifierKeys.includes(key)) throw new LettaError("not_found", { code: "other_identity" });
    return agent;
  };
  const getAgent = async (id: string) =>
    mine(
      agentOf(
        await call((client, signal) =>
          client.agents.retrieve(
            id,
            { include: ["agent.identities", "agent.tags", "agent.tools", "agent.blocks"] },
            { headers, signal },
          ),
        ),
      ),
    );

  return {
    orgId,

    agents: {
      create: async (agent) =>
        agentOf(
          await call((client, signal) =>
            client.agents.create(
              {
                agent_type: "letta_v1_agent",
                name: plainName(agent.name),
                system: agent.system,
                model: agent.model,
                embedding: agent.embedding ?? null,
                include_base_tools: false,
                include_base_tool_rules: false,
                initial_message_sequence: [],
                tool_ids: agent.toolIds,
                block_ids: agent.blockIds,
                identity_ids: [identityId],
                tags: agent.tags,
                metadata: agent.metadata,
              },
              { headers, signal },
            ),
          ),
        ),
      get: getAgent,
      async *list(filter = {}) {
        const query = {
          identifier_keys: [key],
          include: ["agent.identities" as const, "agent.tags" as const],
          limit: PAGE_SIZE,
          order: "asc" as const,
        };
        const tags = filter.tags === undefined ? {} : { tags: filter.tags, match_all_tags: true };
        // client.agents.list() would fetch one page too; its own paging has no bound.
        for await (const raw of pages(orgId, (client, after, signal) =>
          client.get("/v1/agents/", { query: { ...query, ...tags, after }, headers, signal }),
        )) {
          const agent = agentOf(raw);
          if (agent.identifierKeys.includes(key)) yield agent;
        }
      },
      delete: async (id) => {
        await getAgent(id);
        await call((client, signal) => client.agents.delete(id, { headers, signal }));
      },
    },

    blocks: {
      create: async (block) => {
        const created = blockOf(await call((client, signal) => client.blocks.create(block, { headers, signal })));
        await call((client, signal) =>
          client.patch(`/v1/blocks/${created.id}/identities/attach/${identityId}`, { headers, signal }),
        );
        return created;
      },
      async *list({ tags }) {
        for await (const raw of pages(orgId, (client, after, signal) =>
          client.get("/v1/blocks/", {
            query: { tags, match_all_tags: true, limit: PAGE_SIZE, order: "asc", after },
            headers,
            signal,
          }),
        )) {
          yield blockOf(raw);
        }
      },
      delete: async (id) => {
        await call((client, signal) => client.blocks.delete(id, { headers, signal }));
      },
    },

    archives: {
      create: async (name, embedding) =>
        idOf(await call((client, signal) => client.archives.create({ name, embedding }, { headers, signal }))),
      delete: async (id) => {
        await call((client, signal) => client.archives.delete(id, { headers, signal }));
      },
      attach: async (archiveId, agentId) => {
        await call((client, signal) =>
          client.agents.archives.attach(archiveId, { agent_id: agentId }, { headers, signal }),
        );
      },
      deleteNamed: async (name) => {
        for (const id of await archivesNamed(name))
          await call((client, signal) => client.archives.delete(id, { headers, signal }));
      },
    },

    tools: {
      addBaseTools: async () =>
        list(await call((client, signal) => client.post("/v1/tools/add-base-tools", { headers, signal }))).map(toolOf),
      byNames: async (names) => {
        if (names.length === 0) return [];
        return list(
          await call((client, signal) =>
            client.get("/v1/tools/", { query: { names, limit: PAGE_SIZE }, headers, signal }),
          ),
        ).map(toolOf);
      },
    },

    identity: {
      // PUT (upsert) replaces the list of agents it was not given; so look, and make it only when it is not there.
      upsert: async (name) => {
        const found = await findIdentity();
        if (found !== null) return found;
        const body = { identifier_key: key, name, identity_type: "org" };
        try {
          return idOf(await call((client, signal) => client.post("/v1/identities/", { body, headers, signal })));
        } catch (error) {
          // Letta keeps identifier_key unique in an organization: somebody else was faster.
          const other = error instanceof LettaError && error.kind === "conflict" ? await findIdentity() : null;
          if (other !== null) return other;
          throw error;
        }
      },
      find: () => findIdentity(),
    },

    models: {
      list: async () =>
        list(await call((client, signal) => client.get("/v1/models/", { headers, signal }))).map(modelOf),
      embeddings: async () =>
        list(await call((client, signal) => client.get("/v1/models/embedding", { headers, signal }))).flatMap((raw) => {
          const handle = (raw as { handle?: unknown } | null)?.handle;
          return typeof handle === "string" ? [handle] : [];
        }),
    },

    conversations: {
      create: async (agentId) =>
        idOf(await call((client, signal) => client.conversations.create({ agent_id: agentId }, { headers, signal }))),
      delete: async (id) => {
        await call((client, signal) => client.conversations.delete(id, { headers, signal }));
      },
      messages: async (id, { limit = PAGE_SIZE, after, order = "desc" } = {}) =>
        list(
          await call((client, signal) =>
            client.get(`/v1/conversations/${encodeURIComponent(id)}/messages`, {
              query: { limit: Math.min(limit, PAGE_SIZE), after, order },
              headers,
              signal,
            }),
          ),
        ).map(messageOf),
      runs: async (id) =>
        list(
          await call((client, signal) =>
            client.get("/v1/runs/", { query: { conversation_id: id, limit: PAGE_SIZE }, headers, signal }),
          ),
        ).map(runOf),
    },

    streamMessage: (message) => streamMessage(context, tenant, message),
    cancel: (conversationId) => stopRuns(context, tenant, conversationId),
  };

  async function archivesNamed(name: string): Promise<string[]> {
    return list(
      await call((client, signal) =>
        client.get("/v1/archives/", { query: { name, limit: PAGE_SIZE, order: "asc" }, headers, signal }),
      ),
    ).map(idOf);
  }

  async function findIdentity(): Promise<string | null> {
    const found = list(
      await call((client, signal) =>
        client.get("/v1/identities/", { query: { identifier_key: key }, headers, signal }),
      ),
    );
    return found.length === 0 ? null : idOf(found[0]);
  }
}
