import { remakeAgent } from "../agents/remake-agent";
import { tenant } from "../db/tenant";
import { eraseCopies, eraseFromThread, rows, threadsOf } from "./erase-words";
import type { Step } from "./eraser";
import { count, type Erasure, markDone } from "./erasure";
import { stopAnswers } from "./stop-answers";

/**
 * The steps by which a person is erased. That they are no member any more, and have no key and no name, was done with the request itself
 * (request-erasure.ts), so that nothing new of theirs comes while the rest goes.
 */
export function erasePerson(personId: string): Step[] {
  return [
    { name: "stop", run: (erasure) => stopAnswers(erasure, personId) },
    { name: "words", run: (erasure) => eraseWords(erasure, personId) },
    { name: "memory", run: (erasure) => eraseMemory(erasure, personId) },
    { name: "rest", run: (erasure) => eraseRest(erasure, personId) },
  ];
}

async function eraseWords(erasure: Erasure, personId: string): Promise<void> {
  for (const threadId of await threadsOf(erasure.org_id, personId)) {
    if (!erasure.done.includes(threadId)) await eraseFromThread(erasure, personId, threadId);
  }
  await eraseCopies(erasure);
}

/**
 * Every agent that took part in a thread with the person gets a new, empty memory. A model writes down what it hears in words of its own, so
 * no search could say which of its notes come from whom: all go, and the agent is marked to learn anew from what is left.
 */
async function eraseMemory(erasure: Erasure, personId: string): Promise<void> {
  const { org_id: orgId } = erasure;
  const threads = await threadsOf(orgId, personId);
  const agents = await tenant(
    orgId,
    (tx) => tx.queryAll<{ id: string }>`
      select agent_id as id from turns where org_id = ${orgId} and thread_id = any(${threads}::text[])
      union select agent_id from participants where org_id = ${orgId} and thread_id = any(${threads}::text[]) and agent_id is not null
      union select v.agent_id from agent_conversations c join agent_versions v on (v.org_id, v.id) = (c.org_id, c.agent_version_id)
        where c.org_id = ${orgId} and c.thread_id = any(${threads}::text[]) order by id`,
  );
  for (const { id } of agents) {
    if (erasure.done.includes(id)) continue;
    await remakeAgent(orgId, id, async (tx, removed) => {
      await tx.exec`update agents set relearn_at = now() where org_id = ${orgId} and id = ${id}`;
      await count(tx, erasure, { ...removed, agents_to_relearn: 1 });
      await markDone(tx, erasure, id);
    });
  }
}

async function eraseRest(erasure: Erasure, personId: string): Promise<void> {
  const { org_id: orgId } = erasure;
  await tenant(orgId, async (tx) => {
    const mine = [orgId, personId];
    await tx.exec`
      update turns set asked_by = null, asked_key = null
      where org_id = ${orgId} and asked_by = ${personId} and ended_at is not null`;
    await count(tx, erasure, {
      reactions: await rows(tx, "delete from reactions where org_id = $1 and user_id = $2", mine),
      read_positions: await rows(tx, "delete from read_positions where org_id = $1 and user_id = $2", mine),
      // What was spent stays spent. The ledger lets this be forgotten and nothing else be changed.
      usage_entries: await rows(
        tx,
        "update usage_entries set user_id = null, key_id = null where org_id = $1 and user_id = $2",
        mine,
      ),
      limits: await rows(
        tx,
        `delete from limits l where org_id = $1 and (scope = 'person' and scope_id = $2 or scope = 'key'
           and not exists (select from api_keys k where k.org_id = l.org_id and k.id = l.scope_id))`,
        mine,
      ),
      // What was answered to them, and what was answered to others about them.
      answers_for_retries: await rows(
        tx,
        "delete from idempotency_keys where org_id = $1 and (caller = $2 or position($2 in response::text) > 0)",
        mine,
      ),
    });
  });
}
