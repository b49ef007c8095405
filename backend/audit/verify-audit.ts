import { api } from "encore.dev/api";
import type { MaxLen } from "encore.dev/validate";
import { tenant } from "../db/tenant";
import { invalid } from "../lib/errors";
import { caller } from "../organizations/caller";
import { auditKeys, signingKey } from "./audit-keys";
import { readStretch } from "./read-stretch";
import { type Break, verifyStretch } from "./verify-chain";

/** Entries checked by one call: about 20 ms of the processor. */
const ENTRIES_MAX = 2_000;

interface VerifyAuditRequest {
  /** `next_cursor` of the call before, where the chain is longer than one call checks. */
  cursor?: string & MaxLen<20>;
  /** The `head` of an earlier, finished verification: that the chain goes on from there is checked too, with the stretch it lies in. */
  head?: string & MaxLen<100>;
}

interface VerifyAuditResponse {
  /** Whether what was checked by this call holds. The log as a whole is intact when every call up to the last says so. */
  intact: boolean;
  /** The first entry that does not hold, and how: edited, missing, reordered, unlinked, unknown_key, head or replaced (docs/api.md). */
  broken: { seq: number; how: Break["how"] } | null;
  /** Entries that this call has checked: from this seq … */
  from_seq: number;
  /** … to this one. Below from_seq where there were none. */
  to_seq: number;
  /** For the next call; null when the end was reached, or a break. */
  next_cursor: string | null;
  /** The chain's end, once it was reached and holds: keep it somewhere else, and give it back next time. */
  head: string | null;
}

/** Checks the organization's audit log: that no entry was edited, removed, moved or cut off. For owners and admins. */
export const verifyAudit = api(
  { expose: true, auth: true, method: "GET", path: "/audit/verify" },
  async ({ cursor, head: remembered }: VerifyAuditRequest): Promise<VerifyAuditResponse> => {
    const { orgID: orgId } = caller();
    signingKey();
    const after = cursor === undefined ? 0 : auditSeq(cursor);
    const known = remembered === undefined ? null : parseHead(remembered);
    const read = await tenant(orgId, (tx) => readStretch(tx, orgId, after, ENTRIES_MAX));
    const { rows, before, isLast, head } = read;
    const last = rows.at(-1)?.seq ?? after;
    const result = (broken: Break | null): VerifyAuditResponse => ({
      intact: broken === null,
      broken,
      from_seq: after + 1,
      to_seq: last,
      next_cursor: broken === null && !isLast ? String(last) : null,
      head: broken === null && isLast && head ? `${head.seq}:${head.hash}` : null,
    });
    if (after > 0 && before === null) return result({ seq: after, how: "missing" });
    // The entry at the cursor was checked by the call before; the link to it is checked here.
    const broken = verifyStretch(auditKeys(), { orgId, ...read });
    if (broken !== null || known === null) return result(broken);
    const there = rows.find(({ seq }) => seq === known.seq);
    if (there && there.hash !== known.hash) return result({ seq: known.seq, how: "replaced" });
    if (!there && isLast && known.seq > last) return result({ seq: last + 1, how: "missing" });
    return result(null);
  },
);

/** A place in the chain as a cursor gives it. */
export function auditSeq(cursor: string): number {
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw invalid("bad_cursor", "This cursor is not one that was given out.", "Send next_cursor unchanged, or none.", {
    context: null,
  });
}

function parseHead(text: string): { seq: number; hash: string } {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (match?.[2]) return { seq: Number(match[1]), hash: match[2] };
  throw invalid("bad_audit_head", "head: this is not the end of an audit log.", "Send `head` as it was answered.", {
    context: null,
  });
}
