import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";
import { policed } from "../organizations/enforce-policy";

/** People and agents in a thread at the same time: WebSocket, presence, typing, read positions, reactions. */
export default new Service("realtime", { middlewares: [secured, policed] });
