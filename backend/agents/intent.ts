import { type AuditActor, appendAudit } from "../audit/append-audit";
import { type Tx, tenant } from "../db/tenant";
import { notFound } from "../lib/errors";
import { newId } from "../lib/ids";
import type { AskAhead } from "../models/correlation/open-turns";
import type { VersionRow } from "./agent";
import { type Bump, compareVersions, FIRST_VERSION, nextVersion } from "./semver";

/** What is to be made. Its row is in state `creating` before Letta is asked for anything. */
export interface Intent {
  orgId: string;
  versionId: string;
  agentId: string;
  version: string;
  /** The agent's first version: its memory is made together with it, and goes with it if it fails. */
  first: boolean;
  blockIds: string[];
  archiveId: string | null;
}

export interface Wanted {
  agentId?: string | undefined;
  bump: Bump;
  name: string;
  systemPrompt: string;
  tools: string[];
  model: string;
  /** Of a new agent. */
  askAhead: AskAhead;
  createdBy: string;
}

/** Commit it before Letta is asked. */
export async function writeIntent(tx: Tx, orgId: string, wanted: Wanted): Promise<Intent> {
  const versionId = newId("agver");
  const agent =
    wanted.agentId === undefined
      ? await insertAgent(tx, orgId, wanted)
      : await lockAgent(tx, orgId, wanted.agentId, wanted.bump);
  await tx.exec`
    insert into agent_versions (org_id, id, agent_id, version, state, name, system_prompt, tools, model, created_by)
    values (${orgId}, ${versionId}, ${agent.agentId}, ${agent.version}, 'creating', ${wanted.name}, ${wanted.systemPrompt},
            ${wanted.tools}, ${wanted.model}, ${wanted.createdBy})`;
  return { orgId, versionId, ...agent };
}

/** `imported`: it came from an archive, and is to be made in Letta. Otherwise what becomes of an intent. */
export type VersionState = "creating" | "ready" | "failed" | "imported";

/** What became of an intent: its row, with the state; null when it failed and was forgotten. */
export async function readIntent(
  tx: Tx,
  orgId: string,
  versionId: string,
): Promise<(VersionRow & { state: VersionState }) | null> {
  return tx.queryRow<VersionRow & { state: VersionState }>`
    select id, agent_id, version, letta_id, org_id, name, system_prompt, tools, model, created_by, created_at, state
    from agent_versions where org_id = ${orgId} and id = ${versionId}`;
}

async function insertAgent(tx: Tx, orgId: string, { name, askAhead, createdBy }: Wanted) {
  const agentId = newId("agent");
  await tx.exec`
    insert into agents (org_id, id, name, ask_ahead, created_by) values (${orgId}, ${agentId}, ${name}, ${askAhead}, ${createdBy})`;
  return { agentId, version: FIRST_VERSION, first: true, blockIds: [], archiveId: null };
}

/** The agent's row orders those who make its next versions. Versions under way count: their numbers are taken. */
async function lockAgent(tx: Tx, orgId: string, agentId: string, bump: Bump) {
  const agent = await tx.queryRow<{ letta_block_ids: string[]; letta_archive_id: string | null }>`
    select letta_block_ids, letta_archive_id from agents
    where org_id = ${orgId} and id = ${agentId} and current_version_id is not null for update`;
  if (!agent) throw notFound("agent");
  const rows = await tx.queryAll<{ version: string }>`
    select version from agent_versions where org_id = ${orgId} and agent_id = ${agentId}`;
  const newest = rows.map((row) => row.version).reduce((a, b) => (compareVersions(a, b) >= 0 ? a : b), FIRST_VERSION);
  return {
    agentId,
    version: nextVersion(newest, bump),
    first: false,
    blockIds: agent.letta_block_ids,
    archiveId: agent.letta_archive_id,
  };
}

/** The agent's archive: the given one, unless another version that is made at the same moment has given one before. */
export async function settleArchive({ orgId, agentId }: Intent, archiveId: string): Promise<string | null> {
  const row = await tenant(
    orgId,
    (tx) => tx.queryRow<{ letta_archive_id: string }>`
      update agents set letta_archive_id = coalesce(letta_archive_id, ${archiveId})
      where org_id = ${orgId} and id = ${agentId} returning letta_archive_id`,
  );
  return row?.letta_archive_id ?? null;
}

/** Null when the intent is no more: it took too long and was given up. Then what was made in Letta must go. */
export async function markReady(
  intent: Intent,
  made: { lettaId: string; blockIds: string[] },
  actor: AuditActor,
): Promise<VersionRow | null> {
  const { orgId, versionId, agentId } = intent;
  return tenant(orgId, async (tx) => {
    // Two statements: one that waits for the lock joins the version that was current before its wait.
    await tx.exec`select 1 from agents where org_id = ${orgId} and id = ${agentId} for update`;
    const agent = await tx.queryRow<{ current: string | null }>`
      select v.version as current from agents a
      left join agent_versions v on v.org_id = a.org_id and v.id = a.current_version_id
      where a.org_id = ${orgId} and a.id = ${agentId}`;
    const row = await tx.queryRow<VersionRow>`
      update agent_versions set state = 'ready', letta_id = ${made.lettaId}
      where org_id = ${orgId} and id = ${versionId} and state = 'creating'
      returning id, agent_id, version, letta_id, org_id, name, system_prompt, tools, model, created_by, created_at`;
    if (!agent || !row) return null;
    // Two versions may be made at once and end in either order: the newer number is the current one.
    const newest = agent.current === null || compareVersions(row.version, agent.current) > 0;
    await tx.exec`
      update agents set
        letta_block_ids = ${made.blockIds},
        current_version_id = case when ${newest}::boolean then ${versionId} else current_version_id end,
        name = case when ${newest}::boolean then ${row.name} else name end
      where org_id = ${orgId} and id = ${agentId}`;
    await appendAudit(tx, {
      orgId,
      actor,
      target: { type: "agent", id: agentId },
      action: intent.first ? "agent.created" : "agent.version_created",
      change: { version: row.version, version_id: versionId },
    });
    return row;
  });
}

/** From here on the version will never be ready. */
export async function markFailed({ orgId, versionId }: Pick<Intent, "orgId" | "versionId">): Promise<void> {
  await tenant(
    orgId,
    (tx) =>
      tx.exec`update agent_versions set state = 'failed' where org_id = ${orgId} and id = ${versionId} and state = 'creating'`,
  );
}

/** Removes a failed version, and its agent when that never had another. To be called once nothing of it is left in Letta. */
export async function forgetFailed({
  orgId,
  versionId,
  agentId,
}: Pick<Intent, "orgId" | "versionId" | "agentId">): Promise<void> {
  await tenant(orgId, async (tx) => {
    await tx.exec`delete from agent_versions where org_id = ${orgId} and id = ${versionId} and state = 'failed'`;
    await tx.exec`
      delete from agents a where org_id = ${orgId} and id = ${agentId} and current_version_id is null
        and not exists (select from agent_versions v where v.org_id = a.org_id and v.agent_id = a.id)`;
  });
}
