import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";
import { policed } from "../organizations/enforce-policy";

/** What happened in an organization and who did it: a log that shows when it was tampered with. */
export default new Service("audit", { middlewares: [secured, policed] });
