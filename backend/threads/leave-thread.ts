import { appendAudit, SYSTEM } from "../audit/append-audit";
import type { Tx } from "../db/tenant";
import type { LogEntry } from "../lib/events";
import { seatOf } from "./audit-thread";
import { left, roleChanged } from "./join-thread";
import { appendLog } from "./log";
import { hostsOf, storeRole } from "./roles";
import { lockThread, type ParticipantView, type ThreadState } from "./thread-context";

/**
 * Takes a person who was removed from the organization out of a thread: what they said stays, and the log says that they left. One who has
 * become a guest stays, and is host no more. The last host leaves the thread to who has been there longest. Nothing happens where they are
 * gone already or a member again. Returns what to publish after the commit.
 */
export async function leaveThread(tx: Tx, orgId: string, threadId: string, userId: string): Promise<LogEntry[]> {
  const state = await lockThread(tx, orgId, threadId);
  const target = state?.context.participants.find((p) => p.user_id === userId);
  if (!state || !target) return [];
  const member = await tx.queryRow<{ role: string }>`
    select role from members where org_id = ${orgId} and user_id = ${userId}`;
  if (member && (member.role !== "guest" || target.role !== "host")) return [];
  const heir = await heirOf(tx, orgId, state, target);
  if (heir) await storeRole(tx, orgId, threadId, heir.id, "host");
  const promoted = heir ? [{ ...heir, role: "host" as const }] : [];
  const about = { orgId, actor: SYSTEM, target: { type: "thread", id: threadId } };
  if (member) {
    const stays = { ...target, role: "speaker" as const };
    await storeRole(tx, orgId, threadId, target.id, "speaker");
    const entries = await appendLog(tx, orgId, threadId, [...promoted, stays].flatMap(roleChanged));
    const participants = [...promoted, stays].map(seatOf);
    await appendAudit(tx, { ...about, action: "thread.participant_role_changed", change: { participants } });
    return entries;
  }
  await tx.exec`
    update participants set left_at = now()
    where org_id = ${orgId} and thread_id = ${threadId} and id = ${target.id} and left_at is null`;
  const entries = await appendLog(tx, orgId, threadId, [...promoted.flatMap(roleChanged), ...left(target)]);
  const change = { removed: seatOf(target), participants: promoted.map(seatOf) };
  await appendAudit(tx, { ...about, action: "thread.participant_removed", change });
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
    select user_id as id from members
    where org_id = ${orgId} and user_id = any(${ids}::text[]) and role <> 'guest' order by user_id for share`;
  const able = people.filter((p) => members.some(({ id }) => id === p.user_id));
  return able.find((p) => p.role === "speaker") ?? able[0] ?? null;
}
