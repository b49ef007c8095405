import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";
import { policed } from "../organizations/enforce-policy";

/** An organization as one archive: taken out of this Graphyn, and into another. */
export default new Service("archive", { middlewares: [secured, policed] });
