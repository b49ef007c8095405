import type { ServerResponse } from "node:http";
import { APIError, ErrCode } from "encore.dev/api";
import log from "encore.dev/log";
import type { Viewer } from "../db/tenant";
import { isId } from "../lib/ids";
import { encodeEvent } from "../lib/sse";
import { contextAfterError } from "./in-thread";

const STATUS: Partial<Record<ErrCode, number>> = {
  [ErrCode.InvalidArgument]: 400,
  [ErrCode.NotFound]: 404,
  [ErrCode.ResourceExhausted]: 429,
  [ErrCode.Unavailable]: 503,
};

/** A raw endpoint writes its own errors: in Encore's form, with the conversation's context; as an `error` event once the stream began. */
export async function refuse(resp: ServerResponse, who: Viewer, threadId: string, error: unknown): Promise<void> {
  const known = error instanceof APIError ? error : null;
  if (!known) log.error("a thread's stream failed", { thread_id: threadId, error: String(error) });
  if (resp.writableEnded || resp.destroyed) return;
  if (resp.headersSent) {
    const data = {
      type: "error",
      thread_id: threadId,
      error: "The stream broke off; it can be resumed.",
      reason: "stream_failed",
    };
    resp.end(encodeEvent({ event: "error", data }));
    return;
  }
  const details = (known?.details ?? { reason: "internal", hint: "Try again." }) as Record<string, unknown>;
  const context =
    "context" in details || !isId("thread", threadId) ? {} : { context: await contextAfterError(who, threadId) };
  resp.writeHead(known ? (STATUS[known.code] ?? 500) : 500, { "Content-Type": "application/json" });
  resp.end(
    JSON.stringify({
      code: known?.code ?? ErrCode.Internal,
      message: known?.message ?? "an internal error occurred",
      details: { ...details, ...context },
    }),
  );
}
