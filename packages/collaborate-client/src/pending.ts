import type { AckMessage, ClientMessage, RefusedMessage } from "../../../backend/realtime/protocol";

/** The server refused a message; nothing of it was done. */
export class Refused extends Error {
  constructor(readonly refusal: RefusedMessage) {
    super(refusal.message);
  }
}

/** The connection ended for good before a message was answered: whether it was taken is not known. */
export class ConnectionEnded extends Error {}

/** Messages kept for their answers. */
const PENDING_MAX = 500;
/** Messages sent and not yet answered: half of what the server takes, so that it never has to turn one away. */
const IN_FLIGHT_MAX = 16;
/** How often a message is sent again that was refused for the moment. */
const TRIES_MAX = 5;

export type Answered = Exclude<ClientMessage, { type: "ping" | "pong" | "leave" }> & { id: string };

interface Waiting {
  message: Answered;
  isSent: boolean;
  /** By `Date.now()`. */
  notBefore: number;
  tries: number;
  resolve: (ack: AckMessage) => void;
  reject: (error: Error) => void;
}

/** What was said and has no answer yet, in its order. */
export interface Pending {
  /** Resolves with the answer, on whichever connection it comes. */
  add(message: Answered): Promise<AckMessage>;
  /** A new connection: nothing was sent on it. What was sent before is sent again, with the same ids. */
  unsend(): void;
  /** The message to send next, which then counts as sent; or how long to wait for it; null while there is none. */
  next(now: number): Answered | number | null;
  ack(ack: AckMessage): void;
  refuse(refusal: RefusedMessage, now: number): void;
  fail(error: Error): void;
}

export function makePending(): Pending {
  const waiting = new Map<string, Waiting>();
  return {
    add(message) {
      return new Promise((resolve, reject) => {
        if (waiting.size >= PENDING_MAX) return reject(new Error(`${PENDING_MAX} messages wait for their answers.`));
        waiting.set(message.id, { message, isSent: false, notBefore: 0, tries: 1, resolve, reject });
      });
    },
    unsend() {
      for (const its of waiting.values()) its.isSent = false;
    },
    next(now) {
      let inFlight = 0;
      for (const its of waiting.values()) {
        if (its.isSent && ++inFlight >= IN_FLIGHT_MAX) return null;
        if (its.isSent) continue;
        if (its.notBefore > now) return its.notBefore - now; // what comes after it waits too: order is kept
        its.isSent = true;
        return its.message;
      }
      return null;
    },
    ack(ack) {
      waiting.get(ack.id)?.resolve(ack);
      waiting.delete(ack.id);
    },
    refuse(refusal, now) {
      const its = refusal.id === null ? undefined : waiting.get(refusal.id);
      if (!its) return;
      if (refusal.retry_after_ms !== null && its.tries < TRIES_MAX) {
        its.tries++;
        its.isSent = false;
        its.notBefore = now + refusal.retry_after_ms;
        return;
      }
      waiting.delete(its.message.id);
      its.reject(new Refused(refusal));
    },
    fail(error) {
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    },
  };
}
