import { RETRY_BROKEN_MS, RETRY_FULL_MS, RETRY_ROLE_MS, RETRY_SHUTDOWN_MS, SILENCE_MS_MAX } from "./limits";
import type { ByeMessage, ByeReason } from "./protocol";

/** `afterMs` null: coming back cannot succeed. */
interface Farewell {
  message: string;
  hint: string;
  afterMs: number | null;
}

/** Every way a connection ends that the server decides. Encore's streams carry no close code, so the last message is the code. */
const FAREWELLS: Record<ByeReason, Farewell> = {
  left: { message: "You left.", hint: "Connect again whenever you like.", afterMs: null },
  lifetime: {
    message: "The connection's time is over.",
    hint: "Connect again with the cursor: nothing is lost.",
    afterMs: 0,
  },
  shutdown: {
    message: "This server stops.",
    hint: "Connect again with the cursor, after a moment.",
    afterMs: RETRY_SHUTDOWN_MS,
  },
  slow_reader: {
    message: "Too much was sent that you have not confirmed to have read.",
    hint: "Answer pings as they come, and connect again with the cursor: nothing is lost.",
    afterMs: 0,
  },
  unanswered_pings: {
    message: `Nothing was heard from you for ${SILENCE_MS_MAX / 1000} seconds.`,
    hint: 'Answer every ping: {"type": "pong", "id": …}. Connect again with the cursor.',
    afterMs: 0,
  },
  too_many_refused: {
    message: "Too many messages in a row were refused.",
    hint: "Read the refusals: something sends too fast, or what the protocol does not know.",
    afterMs: null,
  },
  too_many_connections: {
    message: "Too many connections are open.",
    hint: "End those that nobody uses, or try again later.",
    afterMs: RETRY_FULL_MS,
  },
  bad_cursor: {
    message: "This cursor is none of this thread's.",
    hint: "Connect with the cursor of an event of this thread, or with none, to begin from the start.",
    afterMs: null,
  },
  bad_tab: {
    message: "tab: 1 to 64 of A-Z, a-z, 0-9, - and _.",
    hint: "Make a random name for each window, or leave it out.",
    afterMs: null,
  },
  key_invalid: {
    message: "The API key of this connection is not valid any more.",
    hint: "It was revoked, has expired, or its owner is no member any more. Connect with another key.",
    afterMs: null,
  },
  session_expired: {
    message: "The session token of this connection has expired.",
    hint: "Get a fresh token and connect again with the cursor: nothing is lost.",
    afterMs: 0,
  },
  session_invalid: {
    message: "You are no member of the organization any more.",
    hint: "Sign in again, or ask an admin of the organization.",
    afterMs: null,
  },
  role_changed: {
    message: "Your role in the organization has changed.",
    hint: "Connect again with the cursor: nothing is lost.",
    afterMs: RETRY_ROLE_MS,
  },
  not_in_thread: {
    message: "You are a guest, and take no part in this thread any more.",
    hint: "Ask somebody of the thread to add you again.",
    afterMs: null,
  },
  not_allowed: {
    message: "This API key may not read this thread.",
    hint: "It lacks the scope threads:read, of all threads or of this one. Connect with another key.",
    afterMs: null,
  },
  thread_not_found: {
    message: "There is no such thread.",
    hint: "Check the id: it must be one of your organization's.",
    afterMs: null,
  },
  thread_erased: { message: "This thread was erased.", hint: "There is nothing to come back to.", afterMs: null },
  thread_archived: {
    message: "This thread is archived.",
    hint: 'Read it by GET /threads/:id/messages, or bring it back with PATCH /threads/:id {"state": "active"}.',
    afterMs: null,
  },
  stream_failed: {
    message: "The connection broke off.",
    hint: "Connect again with the cursor: nothing is lost.",
    afterMs: RETRY_BROKEN_MS,
  },
};

export function farewell(reason: ByeReason, cursor: string | null): ByeMessage {
  const { message, hint, afterMs } = FAREWELLS[reason];
  return { type: "bye", reason, message, hint, reconnect: afterMs !== null, after_ms: afterMs, cursor };
}
