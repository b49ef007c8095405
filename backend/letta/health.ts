import { api, type Header } from "encore.dev/api";
import { secret } from "encore.dev/config";
import { tenant } from "../db/tenant";
import { identifierKey, type LettaAgent, LettaError, type PoolFigures } from "../lib/letta-client";
import { sameSecret } from "../lib/same-secret";
import { wrongAdminKey } from "../organizations/admin-key";
import { caller } from "../organizations/caller";
import { letta } from "./client";
import { forOrg } from "./for-org";
import { whyNot } from "./problem";
import { tagOf } from "./tags";

interface LettaServerHealth {
  /** `letta-1` is the first of LETTA_API_URL. */
  name: string;
  /** Null while it does not answer. */
  version: string | null;
  /** Milliseconds, of its answer to this report's question. */
  latency_ms: number | null;
  /** `closed`: requests pass; `open`: none do, it is probed; `half_open`: few do, to see whether it has recovered. */
  breaker: "closed" | "open" | "half_open";
  /** RFC 3339. */
  breaker_since: string;
  in_flight: number;
  connections: number;
  /** Requests repeated because Letta had closed their kept connection. */
  stale_retries: number;
}

interface OrganizationHealth {
  organization_id: string;
  identifier_key: string;
  /** Whether Letta has the organization's identity. */
  identity_present: boolean;
  /** Versions of agents that Graphyn can use. */
  agents_here: number;
  /** Agents that belong to the identity in Letta. */
  agents_in_letta: number;
  agents_equal: boolean;
  /** Ids (`letta_id`) that Graphyn knows and Letta does not; at most 20. */
  missing_in_letta: string[];
  /** Ids that Letta has and no usable version knows; at most 20. The reconciler removes those that are Graphyn's. */
  unknown_here: string[];
}

interface LettaHealthRequest {
  /** The operator's key (the secret AdminKey): with it the answer has how the servers are, which is of all organizations together. */
  admin_key?: Header<"X-Admin-Key">;
}

interface LettaHealthResponse {
  /** `ok`: reachable, and both sides agree. `degraded`: reachable, but they do not. `unavailable`: not reachable. */
  status: "ok" | "degraded" | "unavailable";
  /** What is wrong and what to do about it; null when nothing is. */
  problem: string | null;
  /** For the operator; null without their key, as others' load shows in it. */
  server: { status: "ok" | "unavailable"; servers: LettaServerHealth[] } | null;
  /** As `server`. */
  pool: PoolFigures | null;
  /** Null while Letta cannot be asked. */
  organization: OrganizationHealth | null;
}

const adminKey = secret("AdminKey");
const LISTED_MAX = 20;

/**
 * How Letta is, and whether the caller's organization has there what it has here. Answers 200 also when Letta is away. With the operator's
 * key besides, also how each server and the pool before them are.
 */
export const lettaHealth = api(
  { expose: true, auth: true, method: "GET", path: "/letta/health" },
  async ({ admin_key }: LettaHealthRequest): Promise<LettaHealthResponse> => {
    const { orgID } = caller();
    if (admin_key !== undefined && !sameSecret(admin_key, adminKey())) throw wrongAdminKey();
    const { status, servers, ...health } = await letta().health();
    const isOperator = admin_key !== undefined;
    const [server, pool] = isOperator ? [{ status, servers }, health.pool] : [null, null];
    try {
      if (status !== "ok") throw new LettaError("unavailable");
      const organization = await compare(orgID);
      const agree = organization.identity_present && organization.agents_equal;
      return {
        status: agree ? "ok" : "degraded",
        problem: agree ? null : whatIsWrong(organization),
        server,
        pool,
        organization,
      };
    } catch (error) {
      if (!(error instanceof LettaError)) throw error;
      return { status: "unavailable", problem: whyNot(error), server, pool, organization: null };
    }
  },
);

async function compare(orgId: string): Promise<OrganizationHealth> {
  const org = await forOrg(orgId);
  const identity = await org.identity.find();
  const agents: LettaAgent[] = [];
  for await (const agent of org.agents.list()) agents.push(agent);
  const rows = await tenant(
    orgId,
    (tx) => tx.queryAll<{ id: string; state: string; letta_id: string | null }>`
      select id, state, letta_id from agent_versions where org_id = ${orgId}`,
  );
  const here = new Set(rows.flatMap((row) => (row.state === "ready" && row.letta_id !== null ? [row.letta_id] : [])));
  // An agent that is being made at this moment is not a difference.
  const making = new Set(rows.flatMap((row) => (row.state === "creating" ? [tagOf(row.id)] : [])));
  const inLetta = new Set(
    agents.filter((agent) => !agent.tags.some((tag) => making.has(tag))).map((agent) => agent.id),
  );
  const missing = [...here].filter((id) => !inLetta.has(id));
  const unknown = [...inLetta].filter((id) => !here.has(id));
  return {
    organization_id: orgId,
    identifier_key: identifierKey(orgId),
    identity_present: identity !== null,
    agents_here: here.size,
    agents_in_letta: inLetta.size,
    agents_equal: missing.length === 0 && unknown.length === 0,
    missing_in_letta: missing.slice(0, LISTED_MAX),
    unknown_here: unknown.slice(0, LISTED_MAX),
  };
}

function whatIsWrong(organization: OrganizationHealth): string {
  if (!organization.identity_present) {
    return "Letta does not have the organization's identity: its database was replaced, or the identity was deleted there.";
  }
  if (organization.missing_in_letta.length > 0) {
    return "Agents were deleted in Letta: make a new version of each, with POST /agents and its agent_id.";
  }
  return "Letta has agents that Graphyn does not know: the reconciler removes what Graphyn left half made, within minutes.";
}
