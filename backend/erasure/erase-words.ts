import { type Tx, tenant } from "../db/tenant";
import { eraseAnswers } from "../lib/idempotency";
import { holdThread } from "../threads/hold-thread";
import { type Counts, count, type Erasure } from "./erasure";

/** What stands where the name of somebody who was erased stood. */
export const ERASED_NAME = "Erased person";
/** Copies that one transaction erases. */
const COPIES_MAX = 500;

/** The threads that have anything of the person's. */
export async function threadsOf(orgId: string, personId: string): Promise<string[]> {
  const rows = await tenant(
    orgId,
    (tx) => tx.queryAll<{ id: string }>`
      select thread_id as id from participants where org_id = ${orgId} and user_id = ${personId}
      union select thread_id from messages where org_id = ${orgId} and sender_id = ${personId}
      union select id from threads where org_id = ${orgId} and created_by = ${personId} order by id`,
  );
  return rows.map(({ id }) => id);
}

/**
 * Erases from one thread what the person said, what agents answered to it, and the person's name. The log keeps its places: a message
 * that is erased is there, without its text. In one transaction under the thread's lock; done again it finds nothing.
 */
export async function eraseFromThread(erasure: Erasure, personId: string, threadId: string): Promise<void> {
  const { org_id: orgId } = erasure;
  await tenant(orgId, async (tx) => {
    if (!(await holdThread(tx, orgId, threadId))) return; // erased meanwhile
    const counts: Counts = {};
    // Turns that answer the person: all that follows a message of theirs, and those that such a message joined.
    const turns = await tx.queryAll<{ id: string }>`
      with said as (select seq from messages where org_id = ${orgId} and thread_id = ${threadId} and sender_id = ${personId})
      select id from turns where org_id = ${orgId} and thread_id = ${threadId} and exchange in (select seq from said)
      union select steers_turn_id from turns
      where org_id = ${orgId} and thread_id = ${threadId} and joined_at is not null and message_seq in (select seq from said)`;
    const turnIds = turns.map(({ id }) => id);
    const erased = await tx.queryAll<{ id: string; sender_type: string }>`
      update messages set content = '', status = 'erased', reason = null,
        sender_name = case when sender_id = ${personId} then ${ERASED_NAME} else sender_name end
      where org_id = ${orgId} and thread_id = ${threadId} and status <> 'erased'
        and (sender_id = ${personId} or turn_id = any(${turnIds}::text[]))
      returning id, sender_type`;
    counts.messages = erased.filter(({ sender_type }) => sender_type === "user").length;
    counts.answers = erased.length - counts.messages;
    const ids = erased.map(({ id }) => id);
    counts.embeddings = await rows(
      tx,
      "delete from message_embeddings where org_id = $1 and message_id = any($2::text[])",
      [orgId, ids],
    );
    counts.captures = await rows(
      tx,
      "delete from interaction_captures where org_id = $1 and turn_id = any($2::text[])",
      [orgId, turnIds],
    );
    await rows(tx, "delete from turn_deltas where org_id = $1 and turn_id = any($2::text[])", [orgId, turnIds]);
    counts.names = await eraseName(tx, orgId, threadId, personId);
    counts.titles = await rows(
      tx,
      "update threads set title = null where org_id = $1 and id = $2 and created_by = $3 and title is not null",
      [orgId, threadId, personId],
    );
    await eraseAnswers(tx, orgId, threadId);
    await count(tx, erasure, counts);
  });
}

/** The name where the thread says who came, went and reacted. */
async function eraseName(tx: Tx, orgId: string, threadId: string, personId: string): Promise<number> {
  const seats = `select id from participants where org_id = $1 and thread_id = $2 and user_id = $3`;
  const values = [orgId, threadId, personId, ERASED_NAME];
  // What the system says of somebody is the entry right after the one that programs read.
  const told = await rows(
    tx,
    `update messages m set content = replace(m.content, l.data ->> 'name', $4)
     from thread_log l
     where l.org_id = $1 and l.thread_id = $2 and l.kind = 'participant' and l.data ->> 'participant_id' in (${seats})
       and l.data ->> 'name' <> $4 and (m.org_id, m.thread_id, m.seq) = (l.org_id, l.thread_id, l.seq + 1) and m.sender_type = 'system'`,
    values,
  );
  const logged = await rows(
    tx,
    `update thread_log set data = jsonb_set(data, '{name}', to_jsonb($4::text))
     where org_id = $1 and thread_id = $2 and data ->> 'name' <> $4
       and (kind = 'participant' and data ->> 'participant_id' in (${seats}) or kind = 'reaction' and data ->> 'user_id' = $3)`,
    values,
  );
  const seated = await rows(
    tx,
    `update participants set name = $4, left_at = coalesce(left_at, now())
     where org_id = $1 and thread_id = $2 and user_id = $3 and (name <> $4 or left_at is null)`,
    values,
  );
  return told + logged + seated;
}

/** Erases copies of what was erased, and copies of those, in whichever thread a fork, split or merge has brought them. */
export async function eraseCopies(erasure: Erasure): Promise<void> {
  const { org_id: orgId } = erasure;
  for (let found = COPIES_MAX; found > 0; ) {
    found = await tenant(orgId, async (tx) => {
      const copies = await tx.queryAll<{ id: string }>`
        update messages set content = '', status = 'erased',
          sender_name = case when sender_type = 'user' then ${ERASED_NAME} else sender_name end
        where org_id = ${orgId} and id in (
          select c.id from messages c join messages o on (o.org_id, o.id) = (c.org_id, c.origin ->> 'message_id')
          where c.org_id = ${orgId} and c.status <> 'erased' and o.status = 'erased' limit ${COPIES_MAX})
        returning id`;
      const ids = copies.map(({ id }) => id);
      const embeddings = await rows(
        tx,
        "delete from message_embeddings where org_id = $1 and message_id = any($2::text[])",
        [orgId, ids],
      );
      // What the system says of comings and goings was copied too, with the name in it.
      const told = await rows(
        tx,
        `update messages c set content = o.content from messages o
         where c.org_id = $1 and c.sender_type = 'system' and (o.org_id, o.id) = (c.org_id, c.origin ->> 'message_id')
           and c.content <> o.content`,
        [orgId],
      );
      await count(tx, erasure, { copies: copies.length, embeddings, names: told });
      return copies.length + told;
    });
  }
}

/** Runs a statement and gives how many rows it changed. */
export async function rows(tx: Tx, sql: string, values: (string | string[] | number)[]): Promise<number> {
  const result = await tx.rawQueryRow<{ n: number }>(
    `with changed as (${sql} returning 1) select count(*)::int as n from changed`,
    ...values,
  );
  return result?.n ?? 0;
}
