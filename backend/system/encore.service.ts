import { Service } from "encore.dev/service";
import { secured } from "../lib/security-headers";

/** What a server says of itself: its health, and its interface's description and documentation. */
export default new Service("system", { middlewares: [secured] });
