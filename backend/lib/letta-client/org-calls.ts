import { PAGE_SIZE } from "./config";
import { LettaError } from "./errors";
import type { Context } from "./letta";
import { streamMessage } from "./messages";
import { identifierKey, type LettaOrg, type LettaTenant } from "./org";
import {
  agentOf,
  blockOf,
  embeddingOf,
  idOf,
  type LettaAgent,
  type LettaEmbedding,
  list,
  messageOf,
  modelOf,
  runOf,
  toolOf,
} from "./resources";
import { stopRuns } from "./stop";
import { sendWhole } from "./whole-message";

/** Where our own model gateway is, when Letta asks it. */
const GATEWAY_PATH = "/internal/models/v1";

/** Letta takes letters, digits, spaces, hyphens, underscores and apostrophes in an agent's name, and answers 500 to anything else. */
function plainName(name: string): string {
  const plain = name
    .normalize("NFC")
    .replace(/[^\p{L}\p{N}' _-]/gu, " ")
    .replace(/ +/g, " ")
    .trim();
  return plain === "" ? "agent" : plain;
}

/** The calls of `LettaOrg`, over the official client. */
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
    lettaUserId: tenant.lettaUserId,

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
                ...embeddingFields(agent.embedding),
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
        idOf(
          await call((client, signal) =>
            client.archives.create({ name, ...embeddingFields(embedding) }, { headers, signal }),
          ),
        ),
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
      named: (name) => archivesNamed(name),
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
      delete: async (id) => {
        await call((client, signal) => client.delete(`/v1/identities/${encodeURIComponent(id)}`, { headers, signal }));
      },
    },

    models: {
      list: async () =>
        list(await call((client, signal) => client.get("/v1/models/", { headers, signal }))).map(modelOf),
      embeddings: async () =>
        list(await call((client, signal) => client.get("/v1/models/embedding", { headers, signal }))).map(embeddingOf),
    },

    conversations: {
      create: async (agentId) => {
        const leave = await context.creates.enter(orgId);
        try {
          const create = { agent_id: agentId };
          return idOf(await call((client, signal) => client.conversations.create(create, { headers, signal })));
        } finally {
          leave();
        }
      },
      fork: async (id) =>
        idOf(
          await call((client, signal) =>
            client.post(`/v1/conversations/${encodeURIComponent(id)}/fork`, { headers, signal }),
          ),
        ),
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
    sendWhole: (message) => sendWhole(context, tenant, message),
    settled: async (conversationId) => context.stopping.get(conversationId),
    cancel: (conversationId) => stopRuns(context, tenant, conversationId),
  };

  /**
   * Letta's requests for embeddings do not say whose they are, so at our own gateway they get an address that does
   * (models/gateway/embeddings.ts). Other endpoints are taken as Letta knows them.
   */
  function embeddingFields(embedding: LettaEmbedding | null | undefined) {
    if (!embedding) return { embedding: null };
    const endpoint = embedding.config.embedding_endpoint?.replace(/\/+$/, "") ?? "";
    if (!endpoint.endsWith(GATEWAY_PATH)) return { embedding: embedding.handle };
    const own = `${endpoint}/of/${tenant.lettaUserId}`;
    return { embedding_config: { ...embedding.config, embedding_endpoint: own } };
  }

  async function archivesNamed(name?: string): Promise<string[]> {
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
