import type { Tx } from "../../db/tenant";
import { newId } from "../../lib/ids";
import type { Caller } from "../../organizations/authenticate";
import { requireThread } from "../in-thread";
import { joinThread } from "../join-thread";
import { appendLog } from "../log";
import { guestIsNoHost, guestsAmong, hostsOf } from "../roles";
import type { ThreadState } from "../thread-context";
import { copyMessages } from "./copy-messages";

interface Beginning {
  who: Caller;
  /** The thread it begins from, under its lock. */
  source: ThreadState;
  title: string | undefined;
  relation: "forked_from" | "split_from";
  /** The messages of the source's conversation after the one place, up to and with the other. */
  after: number;
  upTo: number;
}

export interface NewThread {
  state: ThreadState;
  /** The last entry that was copied: what came after it is the new thread's own. */
  copiedUpTo: number;
}

/**
 * Makes a thread out of a part of another: its settings, its participants with their roles, the messages. Whoever calls is a host of it.
 * Its log begins with where it comes from.
 */
export async function newThreadFrom(
  tx: Tx,
  { who, source, title, relation, after, upTo }: Beginning,
): Promise<NewThread> {
  const { orgID, userID } = who;
  const { id: from, branch } = source.context.thread;
  const id = newId("thread");
  await tx.exec`
    insert into threads (org_id, id, title, type, created_by, parent_id, parent_seq, turn_policy, coordinator_id,
      when_busy, exchange_hops_max, exchange_turns_max, exchange_tokens_max)
    select org_id, ${id}, coalesce(${title ?? null}::text, title), type, ${userID}, id, ${upTo}::bigint, turn_policy, coordinator_id,
      when_busy, exchange_hops_max, exchange_turns_max, exchange_tokens_max
    from threads where org_id = ${orgID} and id = ${from}`;
  // Who is a guest by now hosts no other thread; the caller, who would, is refused.
  const hosts = hostsOf(source).map((host) => host.user_id);
  const guests = await guestsAmong(tx, orgID, [userID, ...hosts]);
  if (guests.has(userID)) throw guestIsNoHost();
  const rows = source.context.participants.map(({ kind, user_id, agent_id, name, role }) => ({
    id: newId("part"),
    kind,
    user_id,
    agent_id,
    name,
    role: user_id === userID ? "host" : guests.has(user_id) ? "speaker" : role,
  }));
  await tx.exec`
    insert into participants (org_id, thread_id, id, kind, user_id, agent_id, name, role)
    select ${orgID}, ${id}, id, kind, user_id, agent_id, name, role
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb)
      as p(id text, kind text, user_id text, agent_id text, name text, role text)`;
  await appendLog(tx, orgID, id, [
    { type: "thread_linked", relation, related_thread_id: from, related_seq: upTo, linked_by: userID },
  ]);
  const copied = await copyMessages(tx, { orgId: orgID, from: { threadId: from, branch, after, upTo }, to: id });
  await joinThread(tx, orgID, id, { people: [userID], agents: [], role: "host" });
  return { state: await requireThread(tx, orgID, id), copiedUpTo: copied + 1 };
}
