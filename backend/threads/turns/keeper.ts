import log from "encore.dev/log";
import { dispatch, tenant } from "../../db/tenant";
import { stopping } from "../../lib/stopping";
import { holdThread } from "../hold-thread";
import { publish } from "../live/channels";
import { onHint } from "../live/fanout/tell";
import { endTurn, type Outcome, type TurnEnd } from "./end-turn";
import { LEASE, LEASE_RENEW_MS, LEASE_SWEEP_MS, PROCESS_ID } from "./lease";
import { lostUsage } from "./lost-usage";
import { nextTurn } from "./next-turn";
import { ATTEMPTS_MAX, startTurns, stopTurn, turnsHere } from "./run-turn";
import { releaseJoined } from "./steer";
import { INTERRUPTED } from "./stopped";

/**
 * Keeps turns alive, and ends those whose process died. Every process prolongs the leases of its own turns and looks for leases that
 * have run out; whoever takes the thread's lock first takes the turn over.
 */
const SWEEP_TURNS_MAX = 100;
/** The longest duration that the column holds; a server may have been off for longer. */
const MS_MAX = 2 ** 31 - 1;

interface Found {
  org_id: string;
  id: string;
  thread_id: string;
  agent_id: string;
}

/**
 * Prolongs the leases of the turns this process works on, and of those that wait behind a running one. Not of all that bear its name: a
 * turn whose start or end failed must become free. Rows that somebody is just changing are left for the next time: waiting for them, in
 * an order other than theirs, would be a deadlock.
 */
async function renew(): Promise<void> {
  const here = turnsHere();
  const live = await dispatch(async (tx) => {
    await tx.exec`
      update turns set lease_until = now() + ${LEASE}::text::interval
      where (org_id, id) in (
        select t.org_id, t.id from turns t
        where t.lease_owner = ${PROCESS_ID} and t.state in ('queued', 'running') and (t.id = any(${here}::text[])
          or t.state = 'queued' and exists (
            select from turns r
            where r.org_id = t.org_id and r.thread_id = t.thread_id and r.agent_id = t.agent_id and r.state = 'running'))
        for no key update skip locked)`;
    return tx.queryAll<{ id: string; mine: boolean; stop: boolean }>`
      select id, lease_owner = ${PROCESS_ID} as mine, cancel_requested_at is not null and state = 'running' as stop
      from turns where id = any(${here}::text[]) and state in ('queued', 'running')`;
  });
  const known = new Map(live.map((turn) => [turn.id, turn]));
  for (const id of here) {
    const turn = known.get(id);
    if (!turn?.mine)
      void stopTurn(id, "lost"); // erased, or taken over while this process could not be heard
    else if (turn.stop) void stopTurn(id, "cancelled");
  }
}

async function sweep(): Promise<void> {
  if (stopping.aborted) return; // others do
  const found = await dispatch(
    (tx) => tx.queryAll<Found>`
      select org_id, id, thread_id, agent_id from turns
      where state in ('queued', 'running') and lease_until < now()
      order by state desc, lease_until limit ${SWEEP_TURNS_MAX}`,
  );
  const here = new Set(turnsHere());
  // In an order of our own: several processes that look at once share the work instead of waiting for each other's locks.
  for (const turn of shuffled(found)) {
    if (here.has(turn.id)) continue; // alive, its lease only late
    await takeOver(turn).catch((error) =>
      log.error("a turn could not be taken over; tried again shortly", { turn_id: turn.id, error: String(error) }),
    );
  }
}

function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/**
 * A running turn that had said nothing is begun again, up to the number of attempts; one that had said something is ended as failed, with
 * its words kept: said twice would be worse than said in part. One that was to be cancelled is. Then the agent's queue goes on here.
 */
async function takeOver({ org_id, id, thread_id, agent_id }: Found): Promise<void> {
  const end = await tenant(org_id, async (tx): Promise<TurnEnd | "failed" | "cancelled"> => {
    await holdThread(tx, org_id, thread_id);
    // Words that its process is just storing come first, and no more come after (running-text.ts): what was said is looked at then.
    const turn = await tx.queryRow<{ state: string; attempt: number; stop: boolean }>`
      select state, attempt, cancel_requested_at is not null as stop
      from turns where org_id = ${org_id} and id = ${id} and state in ('queued', 'running') and lease_until < now() for update`;
    if (!turn) return { entries: [], next: [] };
    if (turn.state === "running") {
      const said = await tx.queryRow`
        select start_offset from turn_deltas where org_id = ${org_id} and turn_id = ${id} limit 1`;
      if (said !== null || turn.stop || turn.attempt >= ATTEMPTS_MAX) {
        await tx.exec`
          update turns set lease_owner = ${PROCESS_ID}, lease_until = now() + ${LEASE}::text::interval
          where org_id = ${org_id} and id = ${id}`;
        return turn.stop ? "cancelled" : "failed";
      }
      await tx.exec`update turns set state = 'queued' where org_id = ${org_id} and id = ${id}`;
      await releaseJoined(tx, org_id, id); // it begins anew, and has heard nothing
    }
    const next = await nextTurn(tx, { orgId: org_id, threadId: thread_id, agentId: agent_id, leased: false });
    return { entries: [], next: next ? [next] : [] };
  });
  const ended = typeof end === "string" ? await endInterrupted(org_id, id, end) : end;
  log.info("took over a turn whose process had died", { turn_id: id, thread_id, ended: typeof end === "string" });
  publish(org_id, thread_id, ended.entries);
  startTurns(ended.next);
}

async function endInterrupted(orgId: string, turnId: string, kind: "failed" | "cancelled"): Promise<TurnEnd> {
  const found = await tenant(orgId, async (tx) => {
    const turn = await tx.queryRow<{
      thread_id: string;
      message_seq: number;
      agent_id: string;
      name: string;
      agent_version_id: string;
      branch: number;
      ms: number;
      text: string;
    }>`
      select t.thread_id, t.message_seq, t.agent_id, v.name, t.agent_version_id, t.branch,
        least(extract(epoch from now() - coalesce(t.started_at, t.queued_at)) * 1000, ${MS_MAX}::int)::int as ms,
        (select coalesce(string_agg(d.content, '' order by d.start_offset), '')
          from turn_deltas d where d.org_id = t.org_id and d.turn_id = t.id) as text
      from turns t join agent_versions v on (v.org_id, v.id) = (t.org_id, t.agent_version_id)
      where t.org_id = ${orgId} and t.id = ${turnId}`;
    return turn && { turn, spent: await lostUsage(tx, orgId, turnId, turn.text) };
  });
  if (!found) return { entries: [], next: [] };
  const { turn, spent } = found;
  const { thread_id: threadId, agent_id, name, agent_version_id, branch } = turn;
  const figures = { firstTokenMs: null, durationMs: turn.ms, runId: null, spent, inLetta: false };
  const outcome: Outcome = kind === "cancelled" ? { ...figures, kind } : { ...figures, ...INTERRUPTED };
  return endTurn({ orgId, threadId, turnId, seat: { agent_id, name, agent_version_id, branch } }, turn.text, outcome);
}

/**
 * Another process says that turns are to be looked at: one of ours is to stop, or it has let go of some of its own. Hints that come while
 * we look make us look once more.
 */
let isLooking = false;
let isLookWanted = false;
async function lookNow(): Promise<void> {
  isLookWanted = true;
  if (isLooking) return;
  isLooking = true;
  try {
    while (isLookWanted) {
      isLookWanted = false;
      await renew();
      await sweep();
    }
  } catch (error) {
    log.warn("looking at turns failed; tried again shortly", { error: String(error) });
  } finally {
    isLooking = false;
  }
}

/** Runs `work` again and again, `ms` apart, whatever becomes of one run. */
function every(ms: number, what: string, work: () => Promise<void>): void {
  const again = () =>
    setTimeout(() => {
      work()
        .catch((error) => log.warn(`${what} failed; tried again shortly`, { error: String(error) }))
        .finally(again);
    }, ms).unref();
  again();
}

onHint("turns", () => void lookNow());
every(LEASE_RENEW_MS, "prolonging leases", renew);
every(LEASE_SWEEP_MS, "looking for abandoned turns", sweep);
