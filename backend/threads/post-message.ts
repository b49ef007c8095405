import { currentRequest } from "encore.dev";
import { api, type Header } from "encore.dev/api";
import type { Message } from "../lib/events";
import { marked } from "../lib/idempotency";
import { incoming, inPart, SpanKind } from "../lib/tracing";
import { caller } from "../organizations/caller";
import { rateLimitFields } from "../usage/rate-limit-fields";
import { sendMessage } from "./send-message";
import type { ThreadContext } from "./thread-context";
import type { QueuedTurn } from "./turns/queue-turns";
import type { WhenBusy } from "./turns/when-busy";
import type { NoAnswer } from "./who-answers";

interface PostMessageRequest {
  id: string;
  /** 1 to 100 000 characters. */
  content: string;
  /**
   * Ids of agents and people whom it addresses, 50 at most, besides those that its text names by @Name. Who answers is the thread's
   * turn_policy's matter; with `[]`, and nobody named in the text, no agent does.
   */
  mentions?: string[];
  /** Who says it, for a program that speaks for its users: a person of the thread. Only with an owner's or admin's key. */
  sender_id?: string;
  /** What it does at an agent that is still answering; the thread's `when_busy` without it. */
  when_busy?: WhenBusy;
  /**
   * A retry with the same key and body starts nothing: it names the message and its turns as they are. Up to 255 characters, kept for
   * 24 hours.
   */
  idempotency_key?: Header<"Idempotency-Key">;
}

export interface PostMessageResponse {
  success: boolean;
  message: Message;
  /** One for each agent that will answer. */
  turns: QueuedTurn[];
  /** Why no agent answers, and what to do about it; null when one does. */
  no_answer: NoAnswer | null;
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
  /** The limits on spending that hold for this, in the form of draft-ietf-httpapi-ratelimit-headers. Absent where none does. */
  rate_limit_policy?: Header<"RateLimit-Policy">;
  /** What of them is left, and for how many seconds. */
  rate_limit?: Header<"RateLimit">;
}

/** Says something in a thread. Stores the message and one queued turn for each answering agent, and answers at once. */
export const postMessage = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/messages" },
  async ({
    id,
    content,
    mentions,
    sender_id,
    when_busy,
    idempotency_key,
  }: PostMessageRequest): Promise<PostMessageResponse> => {
    const request = currentRequest();
    const parent = request?.type === "api-call" ? incoming(request.headers) : undefined;
    const attributes = {
      "http.request.method": "POST",
      "http.route": "/threads/:id/messages",
      "gen_ai.conversation.id": id,
    };
    return inPart("POST /threads/:id/messages", { kind: SpanKind.SERVER, attributes, parent }, async () => {
      const said = await sendMessage(caller(), {
        threadId: id,
        content,
        mentions,
        senderId: sender_id,
        whenBusy: when_busy,
        idempotencyKey: idempotency_key,
      });
      return { ...marked(said), ...rateLimitFields(said.limits) };
    });
  },
);
