import { Service } from "encore.dev/service";

/**
 * What happens after an answer: jobs that were enqueued in the transaction of what they follow. worker.ts runs in every process, brought in by
 * threads/encore.service.ts; PostgreSQL shares the jobs out.
 */
export default new Service("jobs");
