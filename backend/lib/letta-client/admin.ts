import { randomUUID } from "node:crypto";
import { PAGE_SIZE } from "./config";
import { LettaError } from "./errors";
import type { Context } from "./letta";
import { idOf, object } from "./resources";

/**
 * Letta's organizations and users. These need the server's password and no user. Letta makes what it is asked to make, as often as it is
 * asked, and has no unique names: only the holder of the provisioning lease may call these.
 */
export interface LettaAdmin {
  createOrganization(name: string): Promise<string>;
  createUser(name: string, lettaOrgId: string): Promise<string>;
  /** Ids of all organizations with this name, oldest first. Reads the whole list, as Letta can search by nothing. */
  findOrganizations(name: string): Promise<string[]>;
  findUsers(name: string, lettaOrgId: string): Promise<string[]>;
  /**
   * Throws `no_wall` when Letta takes somebody it does not know for its default user, as it does unless LETTA_NO_DEFAULT_ACTOR is set
   * (perf-reliability L2, L3): then a lost header would show one organization's agents to all.
   */
  checkWall(): Promise<void>;
  deleteOrganization(id: string): Promise<void>;
  deleteUser(id: string): Promise<void>;
}

/** The lane of these calls in the fair queue. */
const LANE = "admin";

export function createAdmin({ call, pages }: Context): LettaAdmin {
  async function find(path: string, matches: (raw: Record<string, unknown>) => boolean): Promise<string[]> {
    const found: Record<string, unknown>[] = [];
    for await (const item of pages(LANE, (client, after, signal) =>
      client.get(path, { query: { limit: PAGE_SIZE, after }, signal }),
    )) {
      if (matches(object(item))) found.push(object(item));
    }
    found.sort((a, b) => String(a.created_at).localeCompare(String(b.created_at)));
    return found.map(idOf);
  }

  return {
    createOrganization: async (name) =>
      idOf(await call(LANE, undefined, (client, signal) => client.post("/v1/admin/orgs/", { body: { name }, signal }))),
    createUser: async (name, lettaOrgId) =>
      idOf(
        await call(LANE, undefined, (client, signal) =>
          client.post("/v1/admin/users/", { body: { name, organization_id: lettaOrgId }, signal }),
        ),
      ),
    findOrganizations: (name) => find("/v1/admin/orgs/", (raw) => raw.name === name),
    findUsers: (name, lettaOrgId) =>
      find("/v1/admin/users/", (raw) => raw.name === name && raw.organization_id === lettaOrgId),
    checkWall: async () => {
      for (const headers of [{ user_id: `user-${randomUUID()}` }, {}]) {
        try {
          await call(LANE, undefined, (client, signal) =>
            client.get("/v1/agents/", { query: { limit: 1 }, headers, signal }),
          );
        } catch (error) {
          if (error instanceof LettaError && error.kind === "not_found") continue;
          throw error;
        }
        throw new LettaError("no_wall");
      }
    },
    deleteOrganization: async (id) => {
      await call(LANE, undefined, (client, signal) =>
        client.delete("/v1/admin/orgs/", { query: { org_id: id }, signal }),
      );
    },
    deleteUser: async (id) => {
      await call(LANE, undefined, (client, signal) =>
        client.delete("/v1/admin/users/", { query: { user_id: id }, signal }),
      );
    },
  };
}
