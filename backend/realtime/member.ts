import type { Caller } from "../organizations/authenticate";
import type { Connection } from "./connection";
import type { Seat } from "./presence";

/** One connection in one thread, and whose it is. */
export interface Member {
  who: Caller;
  threadId: string;
  seat: Seat;
  connection: Connection;
  /** The last entry of the log that it was given. */
  seq: number;
  /** True while its tab says that its person types. */
  isTyping: boolean;
}
