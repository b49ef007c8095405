import log from "encore.dev/log";
import { dispatch, tenant } from "../db/tenant";
import { forOrg } from "../letta/for-org";
import { GRAPHYN_TAG, tagOf } from "../letta/tags";
import { markReconciled } from "../letta/tenant";
import { isId } from "../lib/ids";
import { removeFromLetta } from "./in-letta";
import { forgetFailed, markFailed } from "./intent";
import { makeAllImported } from "./make-imported";

/** Soon after the start, because a crash is the usual reason to start. */
const FIRST_RUN_MS = 3_000;
const INTERVAL_MS = 60_000;
/** Organizations looked at in one run: those with unfinished versions, and those not compared for the longest time. */
const UNFINISHED_ORGS_MAX = 50;
const COMPARED_ORGS_MAX = 10;
const COMPARE_EVERY = "1 hour";
const UNFINISHED_VERSIONS_MAX = 100;
/** Agents removed from one organization in one run. More would mean that something is wrong with what we know, not with Letta. */
const REMOVED_MAX = 50;
/** Organizations whose agents came from an archive, and that somebody was making when their process died. */
const IMPORTED_ORGS_MAX = 10;

/**
 * An unfinished version is left alone for this long: a request that we gave up on may still be carried out in Letta.
 * GRAPHYN_RECONCILE_GRACE_SECONDS changes it.
 */
const GRACE_SECONDS = graceSeconds(process.env.GRAPHYN_RECONCILE_GRACE_SECONDS);

let timer: NodeJS.Timeout | undefined;

/** Reconciles soon and then regularly, in this process. Several processes may: each step is safe to repeat. */
export function startReconciler(): void {
  if (timer !== undefined) return;
  const run = () => {
    reconcile()
      .catch((error: unknown) =>
        log.warn("reconciling agents with Letta failed; it is tried again", { error: nameOf(error) }),
      )
      .finally(() => {
        timer = setTimeout(run, Math.min(INTERVAL_MS, GRACE_SECONDS * 1_000)).unref();
      });
  };
  timer = setTimeout(run, FIRST_RUN_MS).unref();
}

/** Makes both sides agree: no version unfinished for long, no agent of ours in Letta without its version. */
export async function reconcile(): Promise<void> {
  const { imported, unfinished, due } = await dispatch(async (tx) => ({
    imported: await tx.queryAll<{ org_id: string }>`
      select distinct org_id from agent_versions where state = 'imported' limit ${IMPORTED_ORGS_MAX}`,
    unfinished: await tx.queryAll<{ org_id: string }>`
      select distinct org_id from agent_versions
      where state in ('creating', 'failed') and created_at < now() - make_interval(secs => ${GRACE_SECONDS}) limit ${UNFINISHED_ORGS_MAX}`,
    due: await tx.queryAll<{ org_id: string }>`
      select org_id from (
        (select org_id, reconciled_at from letta_tenants
          where ready_at is not null and reconciled_at is null limit ${COMPARED_ORGS_MAX})
        union all
        (select org_id, reconciled_at from letta_tenants
          where ready_at is not null and reconciled_at < now() - ${COMPARE_EVERY}::text::interval
          order by reconciled_at limit ${COMPARED_ORGS_MAX})
      ) due order by reconciled_at nulls first limit ${COMPARED_ORGS_MAX}`,
  }));
  for (const { org_id } of imported) void makeAllImported(org_id);
  for (const orgId of new Set([...unfinished, ...due].map((row) => row.org_id))) {
    try {
      await reconcileOrg(orgId);
    } catch (error) {
      log.warn("an organization's agents could not be compared with Letta; it is tried again", {
        org_id: orgId,
        error: nameOf(error),
      });
    }
  }
}

async function reconcileOrg(orgId: string): Promise<void> {
  const stuck = await tenant(
    orgId,
    (tx) => tx.queryAll<{ id: string; agent_id: string; first: boolean }>`
      select v.id, v.agent_id, a.current_version_id is null as first
      from agent_versions v join agents a on a.org_id = v.org_id and a.id = v.agent_id
      where v.org_id = ${orgId} and v.state in ('creating', 'failed') and v.created_at < now() - make_interval(secs => ${GRACE_SECONDS})
      order by v.created_at limit ${UNFINISHED_VERSIONS_MAX}`,
  );
  const org = await forOrg(orgId);
  for (const { id, agent_id, first } of stuck) {
    const intent = { orgId, versionId: id, agentId: agent_id, first };
    await markFailed(intent); // whoever still works on it finds out when it wants to mark it ready, and removes what it made
    await removeFromLetta(org, intent);
    await forgetFailed(intent);
    log.info("an unfinished agent version was taken back", { org_id: orgId, agent_version_id: id });
  }

  // Letta first, then our rows: an intent is written before its agent is made, so every agent of this list has had its row by then.
  const suspects: { lettaId: string; versionId: string }[] = [];
  for await (const { id, tags } of org.agents.list({ tags: [GRAPHYN_TAG] })) {
    const versionId = tags.map((tag) => tag.slice(GRAPHYN_TAG.length + 1)).find((tag) => isId("agver", tag));
    if (versionId !== undefined && tags.includes(tagOf(versionId))) suspects.push({ lettaId: id, versionId });
  }
  const rows = await tenant(
    orgId,
    (tx) => tx.queryAll<{ id: string; state: string; letta_id: string | null }>`
      select id, state, letta_id from agent_versions where org_id = ${orgId}`,
  );
  const known = new Map(rows.map((row) => [row.id, row]));
  const orphans = suspects.filter(({ lettaId, versionId }) => {
    const row = known.get(versionId);
    return row === undefined || (row.state === "ready" && row.letta_id !== lettaId); // unfinished ones were dealt with above, or are young
  });
  for (const { lettaId, versionId } of orphans.slice(0, REMOVED_MAX)) {
    await org.agents.delete(lettaId);
    log.info("an agent in Letta that no version knows was removed", { org_id: orgId, agent_version_id: versionId });
  }
  await tenant(orgId, (tx) => markReconciled(tx, orgId));
}

function graceSeconds(text: string | undefined): number {
  if (text === undefined || text === "") return 120;
  const value = Number(text);
  if (!(value >= 1 && value <= 86_400))
    throw new Error("GRAPHYN_RECONCILE_GRACE_SECONDS must be a number from 1 to 86400");
  return value;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${"kind" in error ? error.kind : error.name}` : "unknown";
}
