import { createHash } from "node:crypto";

/** Letta's name for our message: the same for a repeated request of one attempt, so that it can be found again. A UUID. */
export function otidOf(turnId: string, attempt: number): string {
  const hex = createHash("sha256").update(`${turnId}/${attempt}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
