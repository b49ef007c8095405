import log from "encore.dev/log";
import { dispatch, tenant } from "../../db/tenant";
import { publish } from "../live/channels";
import { endTurn, type TurnEnd } from "./end-turn";
import { LEASE, LEASE_RENEW_MS, LEASE_SWEEP_MS, PROCESS_ID } from "./lease";
import { nextTurn } from "./next-turn";
import { ATTEMPTS_MAX, startTurns, stopTurn } from "./run-turn";

/**
 * Keeps turns alive, and ends those whose process died. Every process prolongs the leases of its own turns and looks for leases that
 * have run out; whoever takes the thread's lock first takes the turn over.
 */
const SWEEP_TURNS_MAX = 100;

interface Found {
  org_id: string;
  id: string;
  thread_id: string;
  agent_id: string;
}

async function renew(): Promise<void> {
  const cancelled = await dispatch(
    (tx) => tx.queryAll<{ id: string; stop: boolean }>`
      update turns set lease_until = now() + ${LEASE}::text::interval
      where lease_owner = ${PROCESS_ID} and state in ('queued', 'running')
      returning id, cancel_requested_at is not null and state = 'running' as stop`,
  );
  for (const { id, stop } of cancelled) if (stop) void stopTurn(id, "cancelled");
}

async function sweep(): Promise<void> {
  const found = await dispatch(
    (tx) => tx.queryAll<Found>`
      select org_id, id, thread_id, agent_id from turns
      where state in ('queued', 'running') and lease_until < now()
      order by state desc, lease_until limit ${SWEEP_TURNS_MAX}`,
  );
  for (const turn of found) await takeOver(turn);
}

/**
 * A running turn that had said nothing is begun again, up to the number of attempts; one that had said something is ended as failed, with
 * its words kept: said twice would be worse than said in part. Then the agent's queue goes on here.
 */
async function takeOver({ org_id, id, thread_id, agent_id }: Found): Promise<void> {
  const end = await tenant(org_id, async (tx): Promise<TurnEnd | "fail"> => {
    await tx.exec`select 1 from threads where org_id = ${org_id} and id = ${thread_id} for update`;
    const turn = await tx.queryRow<{ state: string; attempt: number; said: boolean }>`
      select state, attempt, exists (select from turn_deltas d where d.org_id = t.org_id and d.turn_id = t.id) as said
      from turns t where org_id = ${org_id} and id = ${id} and state in ('queued', 'running') and lease_until < now()`;
    if (!turn) return { entries: [], next: [] };
    if (turn.state === "running") {
      if (turn.said || turn.attempt >= ATTEMPTS_MAX) return "fail";
      await tx.exec`update turns set state = 'queued' where org_id = ${org_id} and id = ${id}`;
    }
    const next = await nextTurn(tx, org_id, thread_id, agent_id);
    return { entries: [], next: next ? [next] : [] };
  });
  const ended = end === "fail" ? await failInterrupted(org_id, id) : end;
  log.info("took over a turn whose process had died", { turn_id: id, thread_id, failed: end === "fail" });
  publish(org_id, thread_id, ended.entries);
  startTurns(ended.next);
}

async function failInterrupted(orgId: string, turnId: string): Promise<TurnEnd> {
  const turn = await tenant(
    orgId,
    (tx) => tx.queryRow<{
      thread_id: string;
      message_seq: number;
      agent_id: string;
      name: string;
      agent_version_id: string;
      ms: number;
      text: string;
    }>`
      select t.thread_id, t.message_seq, t.agent_id, v.name, t.agent_version_id,
        (extract(epoch from now() - coalesce(t.started_at, t.queued_at)) * 1000)::int as ms,
        (select coalesce(string_agg(d.content, '' order by d.start_offset), '')
          from turn_deltas d where d.org_id = t.org_id and d.turn_id = t.id) as text
      from turns t join agent_versions v on (v.org_id, v.id) = (t.org_id, t.agent_version_id)
      where t.org_id = ${orgId} and t.id = ${turnId}`,
  );
  if (!turn) return { entries: [], next: [] };
  const { thread_id: threadId, agent_id, name, agent_version_id } = turn;
  return endTurn({ orgId, threadId, turnId, seat: { agent_id, name, agent_version_id } }, turn.text, {
    kind: "failed",
    reason: "interrupted",
    message: "The server stopped while the agent was answering. What it had said is kept.",
    retryable: true,
    firstTokenMs: null,
    durationMs: turn.ms,
    runId: null,
    usage: null,
  });
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

every(LEASE_RENEW_MS, "prolonging leases", renew);
every(LEASE_SWEEP_MS, "looking for abandoned turns", sweep);
