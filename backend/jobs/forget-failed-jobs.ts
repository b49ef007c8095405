import log from "encore.dev/log";
import type { Task } from "graphile-worker";

/** How long a job that has used up its attempts stays for somebody to look at it. */
const FAILED_KEPT = "14 days";
/** Jobs forgotten by one run; the next takes what is left. */
const FORGOTTEN_MAX = 1_000;

/** Deletes jobs that failed for good long ago: the queue's table would otherwise grow with every outage. */
export const forgetFailedJobs: Task = async (_payload, { query }) => {
  const { rows } = await query<{ jobs: number }>(
    `select count(*)::int as jobs
     from (
       select array_agg(id) as ids from (
         select id from graphile_worker.jobs
         where attempts >= max_attempts and locked_at is null and updated_at < now() - $1::interval
         order by id limit $2) failed
     ) old, graphile_worker.complete_jobs(ids)`,
    [FAILED_KEPT, FORGOTTEN_MAX],
  );
  const jobs = rows[0]?.jobs ?? 0;
  if (jobs > 0) log.warn("forgot jobs that had failed for good", { jobs });
};
