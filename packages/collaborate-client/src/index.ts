export { backoffMs } from "./backoff";
export { type Collaboration, collaborate, type EndReason, type State } from "./collaborate";
export type { CollaborateOptions } from "./options";
export { ConnectionEnded, Refused } from "./pending";
