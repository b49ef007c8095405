import type { Tx } from "../../db/tenant";
import type { Span } from "../../lib/events";

/** A branch of a thread, as lists and answers show it. */
export interface Branch {
  branch: number;
  /** Whether the conversation is on it. */
  is_current: boolean;
  /** The branch it was begun from; null for the first. */
  parent_branch: number | null;
  /** Why it was begun; null for the first. */
  action: "rewind" | "edit" | "regenerate" | "split" | null;
  /** The places of the log that belong to it. */
  spans: BranchSpan[];
  created_by: string;
  /** RFC 3339. */
  created_at: string;
}

export interface BranchSpan {
  from_seq: number;
  /** Null: without an end, for the branch that the conversation is on. */
  to_seq: number | null;
}

interface BranchRow extends Omit<Branch, "created_at" | "spans"> {
  spans: Span[];
  created_at: Date;
}

/** All branches of a thread, in the order they were begun: at most as many as a thread takes. */
export async function branchViews(tx: Tx, orgId: string, threadId: string): Promise<Branch[]> {
  const rows = await tx.queryAll<BranchRow>`
    with here as (
      select branch, visible, parent_branch, action, created_by, created_at
      from thread_branches where org_id = ${orgId} and thread_id = ${threadId}
      union all
      select 1, int8multirange(int8range(1, null)), null, null, created_by, created_at
      from threads t where org_id = ${orgId} and id = ${threadId}
        and not exists (select from thread_branches b where b.org_id = t.org_id and b.thread_id = t.id)
    )
    select h.branch, h.branch = t.branch as is_current, h.parent_branch, h.action, h.created_by, h.created_at,
      (select jsonb_agg(jsonb_build_array(lower(s), upper(s) - 1) order by s) from unnest(h.visible) s) as spans
    from here h join threads t on t.org_id = ${orgId} and t.id = ${threadId}
    order by h.branch`;
  return rows.map(({ spans, created_at, ...row }) => ({
    ...row,
    spans: (spans ?? []).map(([from_seq, to_seq]) => ({ from_seq, to_seq })),
    created_at: created_at.toISOString(),
  }));
}

/** The branch a thread is on. */
export async function currentBranch(tx: Tx, orgId: string, threadId: string): Promise<Branch> {
  const current = (await branchViews(tx, orgId, threadId)).find((branch) => branch.is_current);
  if (!current) throw new Error("a thread is always on a branch");
  return current;
}
