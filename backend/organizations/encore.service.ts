import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";
import { policed } from "./enforce-policy";

/** Who is calling: organizations, their people, and the keys of their programs. */
export default new Service("organizations", { middlewares: [secured, policed] });
