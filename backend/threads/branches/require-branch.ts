import type { Tx } from "../../db/tenant";
import { notFound } from "../../lib/errors";

/** The largest number that its column holds. */
const BRANCH_MAX = 2 ** 31 - 1;

/** Refuses the number of a branch that the thread does not have. The first is there without a row until it is left. */
export async function requireBranch(tx: Tx, orgId: string, threadId: string, branch: number): Promise<void> {
  if (branch === 1) return;
  if (!Number.isInteger(branch) || branch > BRANCH_MAX) throw notFound("branch");
  const row = await tx.queryRow`
    select 1 as here from thread_branches where org_id = ${orgId} and thread_id = ${threadId} and branch = ${branch}`;
  if (!row) throw notFound("branch");
}
