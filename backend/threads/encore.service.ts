import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";
import { policed } from "../organizations/enforce-policy";
import "./turns/drain"; // waits for the end of the process
import "./turns/keeper"; // begins with the process: ends what a dead one left behind

/** The product: threads, who takes part, what is said, the turns that agents take, and the stream of it all. */
export default new Service("threads", { middlewares: [secured, policed] });
