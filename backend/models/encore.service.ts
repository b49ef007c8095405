import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";
import { policed } from "../organizations/enforce-policy";

/** The model gateway: OpenAI's API for Letta alone, in front of the providers, whose keys Letta never sees. */
export default new Service("models", { middlewares: [secured, policed] });
