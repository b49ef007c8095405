/**
 * The audit log in an archive: the chain as it is, so that it verifies after an import too. Its last entries are left out where they only tell
 * that an archive was made or taken in: else no export could have the bytes of the one before, which it tells of.
 */
import { auditKeys, signingKey } from "../audit/audit-keys";
import { type AuditRow, archiveSealOf } from "../audit/entry";
import { type Break, verifyStretch } from "../audit/verify-chain";
import type { Tx } from "../db/tenant";
import { sameSecret } from "../lib/same-secret";
import type { ArchivedHead, Row } from "./format";

/** Entries about archives themselves. */
const OF_ARCHIVES = ["organization.exported", "organization.imported"];

/** The last entry that an archive of now holds, with its seal; null where it holds none. `tx` is the archive's. */
export async function archivedHead(tx: Tx, orgId: string): Promise<ArchivedHead | null> {
  const last = await tx.queryRow<{ seq: number; hash: string }>`
    select seq, hash from audit_entries
    where org_id = ${orgId} and action <> all(${OF_ARCHIVES}::text[]) order by seq desc limit 1`;
  if (!last) return null;
  const seq = Number(last.seq);
  // It ends as the archive did that it came from: then it has that one's seal, whose key this server need not have.
  const next = await tx.queryRow<{ action: string; change: string }>`
    select action, change from audit_entries where org_id = ${orgId} and seq = ${seq + 1}`;
  if (next?.action === "organization.imported") {
    const { seal, seal_key } = JSON.parse(next.change) as { seal?: string; seal_key?: string };
    if (seal !== undefined && seal_key !== undefined) return { key_id: seal_key, seal, seq };
  }
  const key = signingKey();
  return { key_id: key.id, seal: archiveSealOf(key, orgId, { seq, hash: last.hash }), seq };
}

/** An archive's rows as entries. */
export function entriesOf(rows: Row[]): AuditRow[] {
  return rows.map((row) => ({ ...row, at: new Date(String(row.at)) }) as unknown as AuditRow);
}

/**
 * What is wrong with the next entries of an archive's chain, or null. Those that were signed with a key which this server does not have can
 * only be looked at for their place and their link; GET /audit/verify says of them that their key is unknown.
 */
export function breakIn(orgId: string, before: AuditRow | null, entries: AuditRow[]): Break | null {
  const keys = auditKeys();
  let previous = before;
  for (const entry of entries) {
    const seq = (previous?.seq ?? 0) + 1;
    if (entry.seq !== seq) return { seq, how: "missing" };
    if (entry.prev_hash !== (previous?.hash ?? "")) return { seq, how: "unlinked" };
    if (keys.some(({ id }) => id === entry.key_id)) {
      const broken = verifyStretch(keys, { orgId, rows: [entry], before: previous, isLast: false, head: null });
      if (broken) return broken;
    }
    previous = entry;
  }
  return null;
}

/** Whether an archive's chain ends where the server that wrote it said. A seal of an unknown key is taken as it is. */
export function endsThere(orgId: string, last: AuditRow | null, head: ArchivedHead | null): boolean {
  if (last === null || head === null) return last === null && head === null;
  if (head.seq !== last.seq) return false;
  const key = auditKeys().find(({ id }) => id === head.key_id);
  return !key || sameSecret(archiveSealOf(key, orgId, last), head.seal);
}

/** Appends entries of an archive to the organization's chain, through the function that refuses whatever does not follow its end. */
export async function appendArchived(tx: Tx, entries: Row[]): Promise<void> {
  await tx.exec`
    select append_audit(e.seq, e.at, e.actor_kind, e.actor_id, e.actor_user, e.action, e.target_type, e.target_id, e.change,
      e.prev_hash, e.hash, e.key_id, '')
    from (
      select * from jsonb_to_recordset(${JSON.stringify(entries)}::text::jsonb) as r(seq bigint, at timestamptz, actor_kind text,
        actor_id text, actor_user text, action text, target_type text, target_id text, change text, prev_hash text, hash text, key_id text)
      order by seq) e`;
}
