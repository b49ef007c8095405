import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";

/** What happens after an answer: jobs that were enqueued in the transaction of what they follow. */
export default new Service("jobs", { middlewares: [secured] });
