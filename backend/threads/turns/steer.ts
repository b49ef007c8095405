import log from "encore.dev/log";
import { type Tx, tenant } from "../../db/tenant";
import type { LogEntry, Message } from "../../lib/events";
import { canonical } from "../../models/ask-ahead/canonical";
import type { ChatBody, ChatMessage } from "../../models/requests/chat-body";
import { holdThread } from "../hold-thread";
import { requireThread } from "../in-thread";
import { publish } from "../live/channels";
import { appendLog } from "../log";
import { tellInBetween } from "./catch-up";
import type { TurnInput } from "./turn-source";
import { statesFor } from "./turn-state";

/**
 * Steering: a message that is to join a running turn has a queued turn of its own (`steers_turn_id`), so nothing is lost whatever becomes of
 * the running one. When Letta asks the model for a further step of that one, the message is taken in (`joined_at`): the model is asked with
 * it, from this step on. What follows:
 *
 * | the running turn             | the message's own turn                                      |
 * |------------------------------|-------------------------------------------------------------|
 * | takes no further step        | is queued, and answers the message as any other             |
 * | took the message in, completes | completes with it: one answer to both                     |
 * | took it in, is cancelled     | is cancelled with it                                        |
 * | took it in, fails or begins anew | is queued again                                         |
 *
 * Letta itself is not told of the message meanwhile (it has no way to add one to a conversation that runs): the agent's next turn tells it,
 * with all else that the agent has missed, and says that it was answered.
 */
export type Steer = (body: ChatBody) => Promise<ChatBody>;

/** For one run of a turn: what its further steps ask of the model, given what Letta asks. */
export function createSteer(where: Where): Steer {
  const taken: { after: string; messages: ChatMessage[] }[] = [];
  return async (body) => {
    const fresh = await takeIn(where).catch((error: unknown) => {
      // Its own turn will answer it.
      log.warn("a message could not join a running turn", { turn_id: where.turnId, error: String(error) });
      return [];
    });
    const last = body.messages.at(-1);
    if (fresh.length > 0 && last !== undefined) {
      taken.push({ after: nameOf(last), messages: fresh.map((content) => ({ role: "user", content })) });
    }
    return taken.length === 0 ? body : { ...body, messages: withTaken(body.messages, taken) };
  };
}

/** Each where it came in, so that what the model has read before stays as it was; at the end where Letta has left out what stood before it. */
function withTaken(messages: ChatMessage[], taken: { after: string; messages: ChatMessage[] }[]): ChatMessage[] {
  const names = messages.map(nameOf);
  const places = taken.map(({ after }) => names.lastIndexOf(after));
  const at = (place: number) => taken.flatMap((one, index) => (places[index] === place ? one.messages : []));
  return [...messages.flatMap((message, index) => [message, ...at(index)]), ...at(-1)];
}

function nameOf(message: ChatMessage): string {
  return canonical({ messages: [message] });
}

/** The texts of messages that join the turn now, in order; none when it is being stopped. */
async function takeIn(where: Where): Promise<string[]> {
  const { orgId, threadId, turnId } = where;
  const isAny = await tenant(
    orgId,
    (tx) => tx.queryRow`
      select 1 as here from turns
      where org_id = ${orgId} and steers_turn_id = ${turnId} and state = 'queued' and joined_at is null limit 1`,
  );
  if (!isAny) return [];
  const { texts, entries } = await tenant(orgId, async (tx) => {
    await holdThread(tx, orgId, threadId);
    const joined = await tx.queryAll<{ id: string; message_seq: number }>`
      update turns t set joined_at = now()
      where org_id = ${orgId} and steers_turn_id = ${turnId} and state = 'queued' and joined_at is null and exists (
        select from turns r where r.org_id = t.org_id and r.id = ${turnId} and r.state = 'running' and r.cancel_requested_at is null
          and r.branch = t.branch)
      returning id, message_seq`;
    return { texts: await textsOf(tx, where, joined), entries: await tellJoined(tx, where, joined) };
  });
  publish(orgId, threadId, entries);
  return texts;
}

type Where = Pick<TurnInput, "orgId" | "threadId" | "turnId" | "agentId">;

async function textsOf(
  tx: Tx,
  { orgId, threadId, agentId }: Where,
  joined: { message_seq: number }[],
): Promise<string[]> {
  if (joined.length === 0) return [];
  const state = await requireThread(tx, orgId, threadId);
  const said = await tx.queryAll<Pick<Message, "sender_type" | "sender_id" | "sender_name" | "content">>`
    select sender_type, sender_id, sender_name, content from messages
    where org_id = ${orgId} and thread_id = ${threadId} and seq = any(${joined.map(({ message_seq }) => message_seq)}::bigint[]) order by seq`;
  return said.map((message) => tellInBetween(message, agentId, state));
}

async function tellJoined(
  tx: Tx,
  { orgId, threadId, turnId, agentId }: Where,
  joined: { id: string }[],
): Promise<LogEntry[]> {
  if (joined.length === 0) return [];
  return appendLog(
    tx,
    orgId,
    threadId,
    joined
      .map(({ id }) => id)
      .sort()
      .map((id) => ({ type: "turn_joined" as const, turn_id: id, agent_id: agentId, joined_turn_id: turnId })),
  );
}

/**
 * What becomes of the turns that joined this one, or were to, in the transaction that ends it: those that joined end with it and are
 * returned; unless it failed, when they are queued again. Those that were to join are queued as they are.
 */
export async function endJoined(
  tx: Tx,
  { orgId, turnId }: { orgId: string; turnId: string },
  kind: "completed" | "failed" | "cancelled",
): Promise<string[]> {
  if (kind !== "failed") {
    const action = kind === "completed" ? "join" : "cancel";
    const ended = await tx.queryAll<{ id: string }>`
      update turns j set state = ${kind}, ended_at = now(), cancelled_by = t.cancelled_by, cancel_reason = t.cancel_reason
      from turns t
      where j.org_id = ${orgId} and j.steers_turn_id = ${turnId} and j.joined_at is not null and j.state = any(${statesFor(action)}::text[])
        and t.org_id = j.org_id and t.id = j.steers_turn_id
      returning j.id`;
    await releaseJoined(tx, orgId, turnId);
    return ended.map(({ id }) => id).sort();
  }
  await releaseJoined(tx, orgId, turnId);
  return [];
}

/** The messages that joined a turn, or were to, are to be answered by their own turns after all. */
export async function releaseJoined(tx: Tx, orgId: string, turnId: string): Promise<void> {
  await tx.exec`
    update turns set joined_at = null, steers_turn_id = null
    where org_id = ${orgId} and steers_turn_id = ${turnId} and state = 'queued'`;
}
