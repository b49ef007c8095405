import { createHmac } from "node:crypto";
import { canonicalJson } from "../lib/canonical-json";
import type { AuditKey } from "./parse-audit-keys";

export type ActorKind = "user" | "key" | "operator" | "system" | "support";

/** One row of audit_entries. */
export interface AuditRow {
  seq: number;
  at: Date;
  actor_kind: ActorKind;
  actor_id: string;
  actor_user: string | null;
  action: string;
  target_type: string;
  target_id: string;
  /** Canonical JSON. */
  change: string;
  prev_hash: string;
  /** Hexadecimal HMAC-SHA-256 of all the rest, with the organization and the seq in it. */
  hash: string;
  key_id: string;
}

/** The end of a chain. */
export interface AuditHead {
  seq: number;
  hash: string;
  key_id: string;
  /** HMAC-SHA-256 of seq and hash: what tells a chain that was cut off from one that ends here. */
  seal: string;
}

/** What an entry's hash is. `change` goes in as its text, so that not a byte of it can differ. */
export function hashOf(key: AuditKey, orgId: string, row: Omit<AuditRow, "hash" | "key_id">): string {
  const { seq, actor_kind, actor_id, actor_user, action, target_type, target_id, change, prev_hash } = row;
  const at = row.at.toISOString();
  return hmac(key, [
    ...["graphyn audit entry 1", orgId, seq, at, actor_kind, actor_id, actor_user],
    ...[action, target_type, target_id, change, prev_hash],
  ]);
}

/** Seals the end of a chain as an archive holds it. It is no head's seal: whoever has an archive must not be able to cut the chain back to it. */
export function archiveSealOf(key: AuditKey, orgId: string, { seq, hash }: Pick<AuditHead, "seq" | "hash">): string {
  return hmac(key, ["graphyn audit archive 1", orgId, seq, hash]);
}

export function sealOf(key: AuditKey, orgId: string, { seq, hash }: Pick<AuditHead, "seq" | "hash">): string {
  return hmac(key, ["graphyn audit head 1", orgId, seq, hash]);
}

function hmac(key: AuditKey, parts: (string | number | null)[]): string {
  return createHmac("sha256", key.key).update(canonicalJson(parts)).digest("hex");
}
