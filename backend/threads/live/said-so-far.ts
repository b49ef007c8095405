import type { Tx } from "../../db/tenant";
import type { Words } from "./place";

/** Words, and the thread they are said in. */
export interface Said extends Words {
  threadId: string;
}

/**
 * What the running turns of these threads have said, as far as it is stored, whichever process they run in: their pieces in order, without
 * those before `known` (characters by turn id). Read the log after it, not before: then it has the start of every turn that is found here.
 */
export async function readSaid(
  tx: Tx,
  orgId: string,
  threadIds: string[],
  known: Record<string, number>,
): Promise<Said[]> {
  const rows = await tx.queryAll<{
    thread_id: string;
    turn_id: string;
    agent_id: string;
    start_offset: number;
    content: string;
  }>`
    select t.thread_id, t.id as turn_id, t.agent_id, d.start_offset, d.content
    from turns t join turn_deltas d on (d.org_id, d.turn_id) = (t.org_id, t.id)
    where t.org_id = ${orgId} and t.thread_id = any(${threadIds}::text[]) and t.state = 'running'
      and d.start_offset >= coalesce((${JSON.stringify(known)}::text::jsonb ->> t.id)::int, 0)
    order by t.id, d.start_offset`;
  return rows.map(({ thread_id, turn_id, agent_id, start_offset, content }) => ({
    threadId: thread_id,
    turnId: turn_id,
    agentId: agent_id,
    offset: start_offset,
    content,
  }));
}
