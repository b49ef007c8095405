import { adminQuery } from "./database";

/** A message that a server has acknowledged, or has not: its sender repeats it until it is. */
export interface Posted {
  threadId: string;
  content: string;
  /** The answer's message id; null while nobody has acknowledged it. */
  id: string | null;
}

interface Entry {
  thread_id: string;
  seq: number;
  kind: string;
  turn_id: string | null;
  message_id: string | null;
  sender_type: string | null;
  content: string | null;
  status: string | null;
}

const ENDS = ["turn_completed", "turn_cancelled", "agent_error"];

/**
 * Reads every thread of a database as it is stored and names what must not be, whatever failed meanwhile: a gap in the order, an
 * acknowledged message lost or any stored twice, a turn that has not ended exactly once, a turn's text in pieces.
 */
export async function violations(adminUrl: string, posted: Posted[]): Promise<string[]> {
  const found: string[] = [];
  const entries = await adminQuery<Entry>(
    adminUrl,
    `select l.thread_id, l.seq::int, l.kind, coalesce(m.turn_id, l.data->>'turn_id') as turn_id, m.id as message_id, m.sender_type, m.content, m.status
     from thread_log l left join messages m using (org_id, thread_id, seq) order by l.thread_id, l.seq`,
  );
  const threads = await adminQuery<{ id: string; last_seq: number }>(
    adminUrl,
    "select id, last_seq::int from threads order by id",
  );
  for (const { id, last_seq } of threads) {
    const seqs = entries.filter(({ thread_id }) => thread_id === id).map(({ seq }) => seq);
    if (seqs.length !== last_seq || seqs.some((seq, index) => seq !== index + 1))
      found.push(`thread ${id}: entries ${seqs.join(" ")} where 1 to ${last_seq} should be`);
  }
  for (const { threadId, content, id } of posted) {
    const stored = entries.filter((entry) => entry.sender_type === "user" && entry.content === content);
    if (stored.length > 1) found.push(`"${content}" is stored ${stored.length} times`);
    if (id !== null && stored.length === 0) found.push(`"${content}" was acknowledged and is lost`);
    if (id !== null && stored.some((entry) => entry.message_id !== id || entry.thread_id !== threadId))
      found.push(`"${content}" is stored as another message than was acknowledged`);
  }
  const turns = await adminQuery<{ id: string; state: string; reason: string | null }>(
    adminUrl,
    "select id, state, error_reason as reason from turns order by id",
  );
  for (const { id, state } of turns) {
    const its = entries.filter(({ turn_id }) => turn_id === id);
    const ends = its.filter(({ kind }) => ENDS.includes(kind));
    const said = its.filter(({ kind }) => kind === "message");
    if (state === "queued" || state === "running") found.push(`turn ${id} is still ${state}`);
    else if (ends.length !== 1)
      found.push(`turn ${id} has ended ${ends.length} times: ${ends.map(({ kind }) => kind)}`);
    if (said.length > 1) found.push(`turn ${id} has ${said.length} messages`);
    if (state === "completed" && said[0]?.status !== "complete")
      found.push(`turn ${id} is completed without a message`);
  }
  const rest = await adminQuery<{ turn_id: string }>(adminUrl, "select distinct turn_id from turn_deltas");
  for (const { turn_id } of rest) found.push(`turn ${turn_id} has pieces of text left`);
  return found;
}
