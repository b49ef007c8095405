import { ErrCode } from "encore.dev/api";
import type { Tx } from "../db/tenant";
import { notFound, problem } from "../lib/errors";
import type { LogEntry } from "../lib/events";
import type { Caller } from "../organizations/authenticate";
import { requireLockedThread } from "../threads/in-thread";
import { appendLog } from "../threads/log";
import { refuseArchived } from "../threads/refuse-message";
import { requireMay } from "../threads/roles";
import { REACTIONS_PER_PERSON_MAX } from "./limits";

interface Reacting {
  threadId: string;
  messageId: string;
  emoji: string;
  remove: boolean;
}

/**
 * Puts a reaction under a message of the thread, or takes it away: what stands there now, and an entry of the log, so that every reader
 * learns of it in its place. What is so already changes nothing and adds no entry. Publish the entries after the commit.
 */
export async function react(tx: Tx, who: Caller, reacting: Reacting): Promise<LogEntry[]> {
  const { orgID: orgId, userID: userId } = who;
  const { threadId, messageId, emoji, remove } = reacting;
  const state = await requireLockedThread(tx, orgId, threadId);
  refuseArchived(state);
  requireMay(state, who, "react");
  const message = await tx.queryRow`
    select 1 as here from messages where org_id = ${orgId} and thread_id = ${threadId} and id = ${messageId}`;
  if (!message) throw notFound("message");
  const changed = remove
    ? await tx.queryRow`
        delete from reactions where org_id = ${orgId} and message_id = ${messageId} and user_id = ${userId} and emoji = ${emoji}
        returning emoji`
    : await add(tx, who, reacting);
  if (!changed) return [];
  const action = remove ? "removed" : "added";
  const name = state.context.participants.find((p) => p.user_id === userId)?.name ?? who.userName;
  return appendLog(tx, orgId, threadId, [
    { type: "reaction", action, message_id: messageId, user_id: userId, name, emoji },
  ]);
}

async function add(tx: Tx, { orgID: orgId, userID: userId }: Caller, { messageId, emoji }: Reacting) {
  const there = await tx.queryAll<{ emoji: string }>`
    select emoji from reactions where org_id = ${orgId} and message_id = ${messageId} and user_id = ${userId}`;
  if (there.some((row) => row.emoji === emoji)) return null;
  if (there.length >= REACTIONS_PER_PERSON_MAX) {
    throw problem(
      ErrCode.ResourceExhausted,
      "too_many_reactions",
      `A person leaves ${REACTIONS_PER_PERSON_MAX} reactions under one message.`,
      "Take one away first.",
      { reactions_max: REACTIONS_PER_PERSON_MAX },
    );
  }
  return tx.queryRow`
    insert into reactions (org_id, message_id, user_id, emoji) values (${orgId}, ${messageId}, ${userId}, ${emoji}) returning emoji`;
}
