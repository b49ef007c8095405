/** Messages a second that `POST /threads/:id/messages` accepts in threads without agents, against a bare INSERT of the same row through `pg`. */
import pg from "pg";
import { type Accounted, cpuDifference, cpuSecondsByRole } from "../lib/cpu";
import { createThread, type Organization, postMessage } from "../lib/graphyn";
import { seededRandom, shuffled } from "../lib/stats";

export interface Window {
  arm: "POST" | "INSERT";
  round: number;
  done: number;
  seconds: number;
  cpu_seconds: Record<string, number>;
}

/** As many at once as people of a busy organization; each writes to a thread of its own. */
export const AT_ONCE = 8;
const WINDOW_MS = 1500;
const WARM_UP_ROUNDS = 1;
const CONTENT = "A message about as long as people write them, neither a word nor a page.";

export interface AcceptedOptions {
  seed: number;
  rounds: number;
  accounted: Accounted;
}

export async function measureAccepted(
  organization: Organization,
  adminUrl: string,
  { seed, rounds, accounted }: AcceptedOptions,
): Promise<Window[]> {
  const threads = await Promise.all(Array.from({ length: AT_ONCE }, () => createThread(organization.api, [])));
  const pool = new pg.Pool({ connectionString: adminUrl, max: AT_ONCE });
  // The same columns, generated column and indexes. Not the foreign key: the row that it wants is part of what POST writes besides.
  await pool.query("create table if not exists bench_messages (like messages including all)");
  let seq = 0;
  const insert = (slot: number) =>
    pool.query({
      name: "bare-insert",
      text: `insert into bench_messages (org_id, thread_id, seq, id, sender_type, sender_id, sender_name, content)
        values ($1, $2, $3, $4, 'user', $5, 'Owner', $6)`,
      values: [organization.id, threads[slot], ++seq, `msg_bench_${process.pid}_${seq}`, organization.userId, CONTENT],
    });
  const post = (slot: number) => postMessage(organization.api, threads[slot] ?? "", CONTENT);

  const random = seededRandom(seed);
  const windows: Window[] = [];
  try {
    for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
      for (const [arm, send] of shuffled([["POST", post] as const, ["INSERT", insert] as const], random)) {
        const before = cpuSecondsByRole(accounted);
        const { done, seconds } = await runWindow(send);
        const cpu_seconds = cpuDifference(cpuSecondsByRole(accounted), before);
        if (round >= 0) windows.push({ arm, round, done, seconds, cpu_seconds });
      }
    }
  } finally {
    await pool.query("drop table bench_messages").catch(() => undefined);
    await pool.end();
  }
  return windows;
}

/** Closed loop: each of `AT_ONCE` workers sends its next when its last is answered. A failure ends the bench. */
async function runWindow(send: (slot: number) => Promise<unknown>): Promise<{ done: number; seconds: number }> {
  const begin = performance.now();
  let done = 0;
  const worker = async (slot: number) => {
    while (performance.now() - begin < WINDOW_MS) {
      await send(slot);
      done++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, slot) => worker(slot)));
  return { done, seconds: (performance.now() - begin) / 1000 };
}
