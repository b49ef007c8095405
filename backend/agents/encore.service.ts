import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";
import { policed } from "../organizations/enforce-policy";

/** Agents and their versions: each version is one agent in Letta, the memory is shared by all versions of an agent. */
export default new Service("agents", { middlewares: [secured, policed] });
