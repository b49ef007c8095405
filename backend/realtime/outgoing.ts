import type { Message } from "../lib/events";
import type { ThreadContext } from "../threads/thread-context";
import type { NoAnswer } from "../threads/who-answers";
import type { Limits, Person, ReadPosition, ServerMessage, TurnView } from "./protocol";

/**
 * What Encore sends to a client: its messages can be no union, so this has the fields of all of them. Which belong together says
 * protocol.ts; a field that is missing here would be dropped in silence, so the compiler refuses that.
 */
export interface Outgoing {
  type: string;
  id?: string | null;
  connection_id?: string;
  tab?: string;
  user_id?: string;
  name?: string;
  people?: Person[];
  reads?: ReadPosition[];
  limits?: Limits;
  cursor?: string | null;
  /** ThreadEvent; some of its types (tuples) Encore's schemas cannot say. */
  event?: unknown;
  person?: Person;
  typing?: boolean;
  expires_in_ms?: number;
  seq?: number;
  message?: Message | string;
  turns?: TurnView[];
  no_answer?: NoAnswer | null;
  context?: ThreadContext;
  code?: string;
  reason?: string;
  hint?: string;
  retry_after_ms?: number | null;
  details?: Record<string, unknown>;
  reconnect?: boolean;
  after_ms?: number | null;
}

type FieldsOf<M> = M extends unknown ? keyof M : never;
type Nothing<T extends never> = T;
export type FieldsNotSent = Nothing<Exclude<FieldsOf<ServerMessage>, keyof Outgoing>>;
