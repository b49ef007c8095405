import type { Task } from "graphile-worker";
import { tenant } from "../db/tenant";
import { leaveThread } from "../threads/leave-thread";
import { publish } from "../threads/live/channels";

/** Threads that are looked up at once. */
const THREADS_MAX = 100;

/** Takes a person who was removed out of all threads they take part in, each in a transaction of its own. Done again it finds what is left. */
export const leaveThreads: Task = async (payload) => {
  const { org_id: orgId, user_id: userId } = payload as { org_id: string; user_id: string };
  for (let after: string | undefined = ""; after !== undefined; ) {
    const threads: { id: string }[] = await tenant(
      orgId,
      (tx) => tx.queryAll<{ id: string }>`
        select thread_id as id from participants
        where org_id = ${orgId} and user_id = ${userId} and kind = 'user' and left_at is null and thread_id > ${after}
        order by thread_id limit ${THREADS_MAX}`,
    );
    for (const { id } of threads) {
      publish(orgId, id, await tenant(orgId, (tx) => leaveThread(tx, orgId, id, userId)));
    }
    after = threads.at(-1)?.id;
  }
};
