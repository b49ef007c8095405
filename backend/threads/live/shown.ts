import type { Tx } from "../../db/tenant";

/** What a new reader is shown of the past: the messages of the branch that the thread was on when it came. */
export interface Shown {
  /** The log's last entry at that moment: what follows is no past, and all of it is shown. */
  upTo: number;
  /** Places of the log, both ends included, in order. */
  spans: { lo: number; hi: number }[];
}

/** Read once a reader, in one statement: a switch of the branch meanwhile is then an entry after `upTo`. */
export async function readShown(tx: Tx, orgId: string, threadId: string): Promise<Shown> {
  const row = await tx.queryRow<{ last_seq: number; spans: Shown["spans"] }>`
    select t.last_seq, (
      select jsonb_agg(jsonb_build_object('lo', s.lo, 'hi', s.hi) order by s.lo) from branch_spans(t.org_id, t.id, t.branch) s
    ) as spans
    from threads t where t.org_id = ${orgId} and t.id = ${threadId}`;
  return { upTo: row?.last_seq ?? 0, spans: row?.spans ?? [] };
}

export function isShown({ upTo, spans }: Shown, seq: number): boolean {
  return seq > upTo || spans.some(({ lo, hi }) => seq >= lo && seq <= hi);
}
