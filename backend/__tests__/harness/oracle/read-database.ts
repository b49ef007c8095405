import { adminQuery } from "../database";
import type { Entry, History, Thread, Turn } from "./history";

/** What the database has, as its administrator sees it: of some threads, or of all. */
export async function readDatabase(
  adminUrl: string,
  threadIds?: string[],
): Promise<Pick<History, "threads" | "entries" | "turns" | "pieces">> {
  const only = (column: string) => `($1::text[] is null or ${column} = any($1))`;
  const ids = [threadIds ?? null];
  const [threads, entries, turns, pieces] = await Promise.all([
    adminQuery<Thread>(
      adminUrl,
      `select org_id, id, last_seq::int, prompt_tokens::int, completion_tokens::int from threads where ${only("id")} order by id`,
      ids,
    ),
    adminQuery<Entry>(
      adminUrl,
      `select l.org_id, l.thread_id, l.seq::int, l.kind, l.data->>'agent_id' as agent_id,
         coalesce(m.turn_id, l.data->>'turn_id') as turn_id, m.id as message_id, m.sender_type, m.content, m.status
       from thread_log l left join messages m using (org_id, thread_id, seq) where ${only("l.thread_id")} order by l.thread_id, l.seq`,
      ids,
    ),
    adminQuery<Turn>(
      adminUrl,
      `select t.org_id, t.id, t.thread_id, t.agent_id, t.state, t.error_reason as reason, t.prompt_tokens, t.completion_tokens,
         (extract(epoch from t.ended_at - t.started_at) * 1000)::int as ms, m.content as question, t.joined_at is not null as joined
       from turns t join messages m on (m.org_id, m.thread_id, m.seq) = (t.org_id, t.thread_id, t.message_seq)
       where ${only("t.thread_id")} order by t.id`,
      ids,
    ),
    adminQuery<{ turn_id: string }>(
      adminUrl,
      `select distinct d.turn_id from turn_deltas d join turns t on (t.org_id, t.id) = (d.org_id, d.turn_id) where ${only("t.thread_id")}`,
      ids,
    ),
  ]);
  return { threads, entries, turns, pieces: pieces.map(({ turn_id }) => turn_id) };
}
