import type { ServerResponse } from "node:http";
import { APIError, ErrCode } from "encore.dev/api";

/** The statuses that Encore gives to codes, for those that raw endpoints answer. */
const STATUS: Partial<Record<ErrCode, number>> = {
  [ErrCode.InvalidArgument]: 400,
  [ErrCode.FailedPrecondition]: 400,
  [ErrCode.PermissionDenied]: 403,
  [ErrCode.NotFound]: 404,
  [ErrCode.AlreadyExists]: 409,
  [ErrCode.Aborted]: 409,
  [ErrCode.ResourceExhausted]: 429,
  [ErrCode.Unavailable]: 503,
};

/** Answers an error from a raw endpoint, whose head is not sent yet, as a typed one would. What was not thrown on purpose says nothing. */
export function writeProblem(resp: ServerResponse, error: unknown): void {
  const known = error instanceof APIError ? error : null;
  resp.writeHead(known ? (STATUS[known.code] ?? 500) : 500, { "Content-Type": "application/json" });
  resp.end(
    JSON.stringify({
      code: known?.code ?? ErrCode.Internal,
      message: known?.message ?? "an internal error occurred",
      details: known?.details ?? { reason: "internal", hint: "Try again in a moment.", context: null },
    }),
  );
}
