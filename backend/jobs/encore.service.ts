import { Service } from "encore.dev/service";
import "./worker"; // works in every process; PostgreSQL shares the jobs out

/** What happens after an answer: jobs that were enqueued in the transaction of what they follow. */
export default new Service("jobs");
