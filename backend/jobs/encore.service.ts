import { Service } from "encore.dev/service";

/** What happens after an answer: jobs that were enqueued in the transaction of what they follow. */
export default new Service("jobs");
