import { ErrCode } from "encore.dev/api";
import type { Tx } from "../../db/tenant";
import { problem } from "../../lib/errors";
import type { BranchAction, LogEntry, Span } from "../../lib/events";
import { appendLog } from "../log";
import type { ThreadState } from "../thread-context";
import { type Cancelling, liveTurns, requestCancel } from "../turns/cancel";

/** Branches of one thread. */
const BRANCHES_MAX = 200;
/** Pieces of the log that one branch consists of: each switch adds one at most, and one for each answer that it keeps. */
const SPANS_MAX = 1_000;

export interface Leaving {
  orgId: string;
  threadId: string;
  /** The thread under its lock, as this transaction has left it. */
  state: ThreadState;
  /** A user's id. */
  by: string;
}

export interface Switched {
  branch: number;
  /** To publish after the commit, in this order. */
  entries: LogEntry[];
  /** The turns of the branch that was left, for `beginCancelling` after the commit. */
  cancelling: Cancelling;
}

/**
 * Goes on in a new branch that has the present one's messages up to `toSeq` and, of those after it, the messages at `kept`. What the
 * agents were about to say in the present branch is cancelled; their last words stay in it (keep-in-branch.ts).
 */
export async function beginBranch(
  tx: Tx,
  { orgId, threadId, state, by }: Leaving,
  { action, toSeq, kept = [] }: { action: Exclude<BranchAction, "restore">; toSeq: number; kept?: number[] },
): Promise<Switched> {
  const live = await liveTurns(tx, orgId, threadId);
  const cancelling = await requestCancel(tx, orgId, threadId, live, { by, reason: "rewound" });
  const left = state.context.thread.branch;
  const lastSeq = cancelling.entries.at(-1)?.seq ?? state.context.last_seq;
  await closeBranch(tx, { orgId, threadId, branch: left, lastSeq });
  const begun = await tx.queryRow<{ branch: number; spans: Span[] }>`
    insert into thread_branches (org_id, thread_id, branch, visible, parent_branch, action, created_by)
    select b.org_id, b.thread_id, (select max(n.branch) + 1 from thread_branches n where n.org_id = b.org_id and n.thread_id = b.thread_id),
      b.visible * int8multirange(int8range(1, ${toSeq}::bigint + 1))
        + coalesce((select range_agg(int8range(k, k, '[]')) from unnest(${kept}::bigint[]) k), '{}')
        + int8multirange(int8range(${lastSeq}::bigint + 1, null)),
      b.branch, ${action}, ${by}
    from thread_branches b where b.org_id = ${orgId} and b.thread_id = ${threadId} and b.branch = ${left}
    returning branch, (select jsonb_agg(jsonb_build_array(lower(s), upper(s) - 1) order by s) from unnest(visible) s) as spans`;
  if (!begun) throw new Error("a branch was not begun");
  refuseTooMany(begun);
  return enter(tx, { orgId, threadId, by, left, action, cancelling, ...begun });
}

/** Goes back to a branch that was left: it has its own messages again, and what follows. */
export async function reenterBranch(
  tx: Tx,
  { orgId, threadId, state, by }: Leaving,
  branch: number,
): Promise<Switched> {
  const live = await liveTurns(tx, orgId, threadId);
  const cancelling = await requestCancel(tx, orgId, threadId, live, { by, reason: "rewound" });
  const left = state.context.thread.branch;
  const lastSeq = cancelling.entries.at(-1)?.seq ?? state.context.last_seq;
  await closeBranch(tx, { orgId, threadId, branch: left, lastSeq });
  const entered = await tx.queryRow<{ branch: number; spans: Span[] }>`
    update thread_branches set visible = visible + int8multirange(int8range(${lastSeq}::bigint + 1, null))
    where org_id = ${orgId} and thread_id = ${threadId} and branch = ${branch}
    returning branch, (select jsonb_agg(jsonb_build_array(lower(s), upper(s) - 1) order by s) from unnest(visible) s) as spans`;
  if (!entered) throw new Error("a branch was not entered");
  refuseTooMany(entered);
  return enter(tx, { orgId, threadId, by, left, action: "restore", cancelling, ...entered });
}

/** The branch that the thread is on gets its end. The first branch has no row until then. */
async function closeBranch(
  tx: Tx,
  { orgId, threadId, branch, lastSeq }: { orgId: string; threadId: string; branch: number; lastSeq: number },
): Promise<void> {
  await tx.exec`
    insert into thread_branches as b (org_id, thread_id, branch, visible, created_by, created_at)
    select org_id, id, ${branch}::int, int8multirange(int8range(1, ${lastSeq}::bigint + 1)), created_by, created_at
    from threads where org_id = ${orgId} and id = ${threadId}
    on conflict (org_id, thread_id, branch) do update set visible = b.visible * excluded.visible`;
}

interface Entering {
  orgId: string;
  threadId: string;
  by: string;
  left: number;
  branch: number;
  spans: Span[];
  action: BranchAction;
  cancelling: Cancelling;
}

async function enter(
  tx: Tx,
  { orgId, threadId, by, left, branch, spans, action, cancelling }: Entering,
): Promise<Switched> {
  await tx.exec`update threads set branch = ${branch}::int where org_id = ${orgId} and id = ${threadId}`;
  const said = await appendLog(tx, orgId, threadId, [
    { type: "branch_switched", action, branch, left_branch: left, spans, switched_by: by },
  ]);
  return { branch, entries: [...cancelling.entries, ...said], cancelling };
}

function refuseTooMany({ branch, spans }: { branch: number; spans: Span[] }): void {
  if (branch <= BRANCHES_MAX && spans.length <= SPANS_MAX) return;
  throw problem(
    ErrCode.ResourceExhausted,
    "too_many_branches",
    `A thread takes ${BRANCHES_MAX} branches of at most ${SPANS_MAX} pieces.`,
    "Go back to one of its branches, or fork the thread: the fork begins with one branch.",
    { branches_max: BRANCHES_MAX, spans_max: SPANS_MAX },
  );
}
