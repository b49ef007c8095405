import { appendAudit, SYSTEM } from "../audit/append-audit";
import type { Tx } from "../db/tenant";
import type { LogEntry } from "../lib/events";
import { seatOf } from "./audit-thread";
import { left, roleChanged } from "./join-thread";
import { appendLog } from "./log";
import { hostsOf } from "./roles";
import { lockThread, type ParticipantView, type ThreadState } from "./thread-context";

/**
 * Takes a person who was removed from the organization out of a thread: what they said stays, and the log says that they left. The last host
 * leaves the thread to who has been there longest. Nothing happens where they are gone already or a member again. Returns what to publish
 * after the commit.
 */
export async function leaveThread(tx: Tx, orgId: string, threadId: string, userId: string): Promise<LogEntry[]> {
  const state = await lockThread(tx, orgId, threadId);
  const target = state?.context.participants.find((p) => p.user_id === userId);
  if (!state || !target) return [];
  const member = await tx.queryRow`select 1 as here from members where org_id = ${orgId} and user_id = ${userId}`;
  if (member) return [];
  const heir = await heirOf(tx, orgId, state, target);
  if (heir) {
    await tx.exec`
      update participants set role = 'host' where org_id = ${orgId} and thread_id = ${threadId} and id = ${heir.id}`;
  }
  await tx.exec`
    update participants set left_at = now()
    where org_id = ${orgId} and thread_id = ${threadId} and id = ${target.id} and left_at is null`;
  const promoted = heir ? roleChanged({ ...heir, role: "host" }) : [];
  const entries = await appendLog(tx, orgId, threadId, [...promoted, ...left(target)]);
  await appendAudit(tx, {
    orgId,
    actor: SYSTEM,
    action: "thread.participant_removed",
    target: { type: "thread", id: threadId },
    change: { removed: seatOf(target), participants: heir ? [seatOf({ ...heir, role: "host" })] : [] },
  });
  return entries;
}

/** Who is host after the last one: the member who came first, a speaker before a listener. Null where another host stays, or nobody could be. */
async function heirOf(
  tx: Tx,
  orgId: string,
  state: ThreadState,
  target: ParticipantView,
): Promise<ParticipantView | null> {
  if (target.role !== "host" || hostsOf(state).length > 1) return null;
  const people = state.context.participants.filter((p) => p.kind === "user" && p.id !== target.id);
  const ids = people.map((p) => p.user_id);
  const members = await tx.queryAll<{ id: string }>`
    select user_id as id from members where org_id = ${orgId} and user_id = any(${ids}::text[]) and role <> 'guest'`;
  const able = people.filter((p) => members.some(({ id }) => id === p.user_id));
  return able.find((p) => p.role === "speaker") ?? able[0] ?? null;
}
