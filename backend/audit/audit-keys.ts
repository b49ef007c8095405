import { ErrCode } from "encore.dev/api";
import { secret } from "encore.dev/config";
import { problem } from "../lib/errors";
import { type AuditKey, parseAuditKeys } from "./parse-audit-keys";

/** One key, or several separated by commas: the first signs, the others are those that signed before it. */
const auditKey = secret("AuditKey");

let parsed: { text: string; keys: AuditKey[] } = { text: "", keys: [] };

/** The keys of the chain, the one that signs first. Empty on a server that has none. */
export function auditKeys(): AuditKey[] {
  const text = auditKey();
  if (parsed.text !== text) parsed = { text, keys: parseAuditKeys(text) };
  return parsed.keys;
}

/** The key that signs. Throws where there is none: a change that leaves no trace is not made. */
export function signingKey(): AuditKey {
  const [key] = auditKeys();
  if (key) return key;
  throw problem(
    ErrCode.FailedPrecondition,
    "no_audit_key",
    "This server cannot write its audit log, so it changes nothing.",
    "Whoever runs the server must set the secret AuditKey.",
    { context: null },
  );
}
