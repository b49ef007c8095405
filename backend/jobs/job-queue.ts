import { api } from "encore.dev/api";
import { pgPool } from "./worker";

interface JobQueue {
  /** Jobs that could run now or later. */
  waiting: number;
  running: number;
  /** Jobs that have used up their attempts: they need somebody to look. */
  failed: number;
  /** Seconds that the oldest job which could run has waited. */
  oldest_waiting_seconds: number;
}

/** How the background jobs stand, over all organizations. Not exposed: for the server's operator. */
export const jobQueue = api({ expose: false, method: "GET", path: "/jobs/queue" }, async (): Promise<JobQueue> => {
  const { rows } = await pgPool.query<JobQueue>(`
    select count(*) filter (where locked_at is null and attempts < max_attempts)::int as waiting,
      count(*) filter (where locked_at is not null)::int as running,
      count(*) filter (where locked_at is null and attempts >= max_attempts)::int as failed,
      coalesce(extract(epoch from now() - min(run_at) filter (where locked_at is null and attempts < max_attempts and run_at < now())), 0)::int
        as oldest_waiting_seconds
    from graphile_worker.jobs`);
  const [row] = rows;
  if (!row) throw new Error("the job queue could not be read");
  return row;
});
