import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";
import { policed } from "../organizations/enforce-policy";

/** What organizations may spend on language models, and what they have. */
export default new Service("usage", { middlewares: [secured, policed] });
