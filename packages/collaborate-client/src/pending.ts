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
/** How often a message is sent again that was refused for the moment. */
const TRIES_MAX = 5;

export type Answered = Exclude<ClientMessage, { type: "ping" | "pong" | "leave" }> & { id: string };

interface Waiting {
  message: Answered;
  tries: number;
  resolve: (ack: AckMessage) => void;
  reject: (error: Error) => void;
}

export interface Pending {
  /** Resolves with the answer, on whichever connection it comes. */
  add(message: Answered): Promise<AckMessage>;
  /** What has no answer yet, oldest first: to be sent again on a new connection, with the same ids. */
  all(): Answered[];
  ack(ack: AckMessage): void;
  /** The message, and when to send it again; null when its sender was told instead. */
  refuse(refusal: RefusedMessage): { message: Answered; afterMs: number } | null;
  fail(error: Error): void;
}

export function makePending(): Pending {
  const waiting = new Map<string, Waiting>();
  return {
    add(message) {
      return new Promise((resolve, reject) => {
        if (waiting.size >= PENDING_MAX) return reject(new Error(`${PENDING_MAX} messages wait for their answers.`));
        waiting.set(message.id, { message, tries: 1, resolve, reject });
      });
    },
    all: () => [...waiting.values()].map(({ message }) => message),
    ack(ack) {
      waiting.get(ack.id)?.resolve(ack);
      waiting.delete(ack.id);
    },
    refuse(refusal) {
      const its = refusal.id === null ? undefined : waiting.get(refusal.id);
      if (!its) return null;
      if (refusal.retry_after_ms !== null && its.tries < TRIES_MAX) {
        its.tries++;
        return { message: its.message, afterMs: refusal.retry_after_ms };
      }
      waiting.delete(its.message.id);
      its.reject(new Refused(refusal));
      return null;
    },
    fail(error) {
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    },
  };
}
