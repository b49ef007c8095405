import { sameSecret } from "../lib/same-secret";
import { type AuditHead, type AuditRow, hashOf, sealOf } from "./entry";
import type { AuditKey } from "./parse-audit-keys";

/** How a chain is broken, at which entry. */
export interface Break {
  seq: number;
  /**
   * `edited`: the entry is not what was written (or nobody's of this server); `missing`: there is none; `reordered`: it was written at
   * another place; `unlinked`: it is genuine, and follows another entry than the one before it; `unknown_key`: it was signed with a key
   * that the server does not have; `head`: the chain's end is not the one that was signed; `replaced`: it is not the entry that the
   * caller remembers.
   */
  how: "edited" | "missing" | "reordered" | "unlinked" | "unknown_key" | "head" | "replaced";
}

/** A stretch of one organization's chain, as it was read. */
export interface Stretch {
  orgId: string;
  /** In the order of seq, without gaps where nothing is missing. */
  rows: AuditRow[];
  /** The entry before the first row: null where the stretch begins the chain. */
  before: AuditRow | null;
  /** Whether the stretch reaches the end; then `head` is compared. */
  isLast: boolean;
  head: AuditHead | null;
}

/** The first place at which a stretch does not hold, or null. */
export function verifyStretch(keys: AuditKey[], { orgId, rows, before, isLast, head }: Stretch): Break | null {
  let previous = before;
  for (const row of rows) {
    const seq = (previous?.seq ?? 0) + 1;
    if (row.seq !== seq) return { seq, how: "missing" };
    const how = wrong(keys, orgId, row, rows);
    if (how !== null) return { seq, how };
    if (row.prev_hash !== (previous?.hash ?? "")) return { seq, how: "unlinked" };
    previous = row;
  }
  return isLast ? verifyEnd(keys, orgId, previous, head) : null;
}

function verifyEnd(keys: AuditKey[], orgId: string, last: AuditRow | null, head: AuditHead | null): Break | null {
  const next = (last?.seq ?? 0) + 1;
  // Every organization's chain has a first entry, so that one without any was emptied.
  if (last === null) return { seq: next, how: "missing" };
  if (head === null) return { seq: last.seq, how: "head" };
  const key = keys.find(({ id }) => id === head.key_id);
  if (!key || !sameSecret(sealOf(key, orgId, head), head.seal)) return { seq: last.seq, how: "head" };
  if (head.seq > last.seq) return { seq: next, how: "missing" };
  if (head.seq < last.seq || head.hash !== last.hash) return { seq: last.seq, how: "head" };
  return null;
}

/** What is wrong with an entry by itself. */
function wrong(keys: AuditKey[], orgId: string, row: AuditRow, rows: AuditRow[]): Break["how"] | null {
  const key = keys.find(({ id }) => id === row.key_id);
  if (!key) return "unknown_key";
  if (sameSecret(hashOf(key, orgId, row), row.hash)) return null;
  const elsewhere = rows.some(
    ({ seq }) => seq !== row.seq && sameSecret(hashOf(key, orgId, { ...row, seq }), row.hash),
  );
  return elsewhere ? "reordered" : "edited";
}
