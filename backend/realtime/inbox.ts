import { APIError, ErrCode } from "encore.dev/api";
import log from "encore.dev/log";
import { makeBucket } from "../lib/bucket";
import { problem } from "../lib/errors";
import type { Doing } from "./act";
import type { Connection } from "./connection";
import { type Incoming, idOf, requireMessage } from "./incoming";
import { BURST_MAX, IN_WORK_MAX, MESSAGES_PER_SECOND, REFUSED_IN_A_ROW_MAX } from "./limits";
import type { AckMessage, RefusedMessage } from "./protocol";

/** What comes in on one connection: every message that asks for something is answered; they are done one after the other, in the order sent. */
export interface Inbox {
  take(incoming: Incoming): void;
}

interface Work {
  threadId: string;
  /** Does what is asked. */
  act(message: Doing): Promise<AckMessage | null>;
  leave(): void;
}

/** A refusal of these codes may be other the next time, after RETRY_MS; all others stay until something is done about them. */
const PASSING: ReadonlySet<ErrCode> = new Set([ErrCode.Unavailable, ErrCode.DeadlineExceeded, ErrCode.Internal]);
const RETRY_MS = 1_000;

export function openInbox(connection: Connection, { threadId, act, leave }: Work): Inbox {
  const bucket = makeBucket({ size: BURST_MAX, perSecond: MESSAGES_PER_SECOND });
  let inWork = 0;
  let inARow = 0;
  let last: Promise<void> = Promise.resolve();

  function refuse(id: string | null, error: unknown, retryMs?: number): void {
    connection.send(refusal(id, error, retryMs));
  }
  /** Nothing of it was even begun: a client that goes on like this is ended. */
  function turnAway(id: string | null, error: unknown, retryMs?: number): void {
    refuse(id, error, retryMs);
    if (++inARow >= REFUSED_IN_A_ROW_MAX) connection.bye("too_many_refused");
  }

  async function work(message: Doing): Promise<void> {
    try {
      const ack = await act(message);
      if (ack) connection.send(ack, JSON.stringify(ack).length);
    } catch (error) {
      if (!(error instanceof APIError) || error.code === ErrCode.Internal)
        log.error("a message of a thread's collaboration failed", {
          thread_id: threadId,
          message_type: message.type,
          error: String((error instanceof Error && error.cause) || error),
        });
      refuse(message.id ?? null, error);
    } finally {
      inWork--;
    }
  }

  return {
    take(incoming) {
      connection.heard();
      if (incoming.type === "pong" && typeof incoming.id === "string" && connection.answered(incoming.id)) return;
      const id = idOf(incoming);
      const wait = bucket.take(performance.now());
      if (wait > 0) return turnAway(id, tooFast(wait), wait);
      try {
        const message = requireMessage(incoming);
        if (message.type === "pong") return;
        if (message.type === "ping") return connection.send({ type: "pong", id });
        if (message.type === "leave") return leave();
        if (inWork >= IN_WORK_MAX) return turnAway(id, tooManyInWork(), RETRY_MS);
        inARow = 0;
        inWork++;
        // A cancel waits for the turn to end, and nobody else waits for the cancel.
        if (message.type === "cancel") void work(message);
        else last = last.then(() => work(message));
      } catch (error) {
        turnAway(id, error);
      }
    },
  };
}

function refusal(id: string | null, error: unknown, retryMs?: number): RefusedMessage {
  const known = error instanceof APIError ? error : null;
  const { reason, hint, ...details } = (known?.details ?? {}) as { reason?: string; hint?: string };
  const code = known?.code ?? ErrCode.Internal;
  return {
    type: "refused",
    id,
    code,
    reason: reason ?? "internal",
    message: code === ErrCode.Internal || !known ? "an internal error occurred" : known.message,
    hint: hint ?? "Try again in a moment. If it stays, the server's log knows more.",
    retry_after_ms: retryMs ?? retryOf(details) ?? (PASSING.has(code) ? RETRY_MS : null),
    details,
  };
}

/** When a limit on spending lets it be tried again. */
function retryOf({ retry_after_ms }: { retry_after_ms?: unknown }): number | null {
  return typeof retry_after_ms === "number" ? retry_after_ms : null;
}

function tooFast(waitMs: number): APIError {
  return problem(
    ErrCode.ResourceExhausted,
    "too_fast",
    `A connection takes ${MESSAGES_PER_SECOND} messages a second, and ${BURST_MAX} at once.`,
    `Send it again after ${waitMs} ms.`,
  );
}

function tooManyInWork(): APIError {
  return problem(
    ErrCode.ResourceExhausted,
    "too_many_in_work",
    `${IN_WORK_MAX} of your messages are not answered yet.`,
    "Wait for their answers, and send it again.",
  );
}
