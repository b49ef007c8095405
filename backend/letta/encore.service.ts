import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";
import { policed } from "../organizations/enforce-policy";

/** Each organization's place in Letta: made once, found by `forOrg`, and its health. */
export default new Service("letta", { middlewares: [secured, policed] });
