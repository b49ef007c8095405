import { createHash } from "node:crypto";

export interface AuditKey {
  /** Says which key it was, and nothing of the key. */
  id: string;
  key: string;
}

/** The keys in a text that separates them by commas. */
export function parseAuditKeys(text: string): AuditKey[] {
  return text
    .split(",")
    .map((key) => key.trim())
    .filter((key) => key !== "")
    .map((key) => ({ id: createHash("sha256").update(`graphyn audit key ${key}`).digest("hex").slice(0, 8), key }));
}
