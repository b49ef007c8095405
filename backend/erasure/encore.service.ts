import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";
import { policed } from "../organizations/enforce-policy";

/** Erasing a person or an organization, with all that was derived from them, here and in Letta. */
export default new Service("erasure", { middlewares: [secured, policed] });
