import type { Tx } from "../db/tenant";
import type { AuditHead, AuditRow } from "./entry";

type Row = { [Field in keyof AuditRow]: AuditRow[Field] | null } & {
  head_seq: number | null;
  head_hash: string | null;
  head_key_id: string | null;
  head_seal: string | null;
};

/** Up to `limit` entries after `after`, with the one at `after` before them, and the chain's end: all of one moment. */
export async function readStretch(tx: Tx, orgId: string, after: number, limit: number) {
  const rows = await tx.queryAll<Row>`
    select e.*, h.seq as head_seq, h.hash as head_hash, h.key_id as head_key_id, h.seal as head_seal
    from (select ${orgId}::text as org_id) one
    left join audit_heads h on h.org_id = one.org_id
    left join (
      select seq, at, actor_kind, actor_id, actor_user, action, target_type, target_id, change, prev_hash, hash, key_id
      from audit_entries where org_id = ${orgId} and seq >= ${after}::bigint order by seq limit ${limit + 1}
    ) e on true
    order by e.seq`;
  const read = rows.flatMap((row) => (row.seq === null ? [] : [{ ...row, seq: Number(row.seq) } as AuditRow]));
  const before = read[0]?.seq === after ? (read[0] as AuditRow) : null;
  const found = (before ? read.slice(1) : read).slice(0, limit);
  return { rows: found, before, isLast: found.length < limit, head: headOf(rows[0]) };
}

function headOf(row: Row | undefined): AuditHead | null {
  if (!row || row.head_seq === null) return null;
  const { head_seq, head_hash, head_key_id, head_seal } = row;
  return { seq: Number(head_seq), hash: head_hash ?? "", key_id: head_key_id ?? "", seal: head_seal ?? "" };
}
