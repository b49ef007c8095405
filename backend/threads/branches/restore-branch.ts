import { api, type Header } from "encore.dev/api";
import type { Min } from "encore.dev/validate";
import { invalid } from "../../lib/errors";
import { caller } from "../../organizations/caller";
import { requireThread } from "../in-thread";
import type { ThreadContext } from "../thread-context";
import { reenterBranch } from "./begin-branch";
import { type Branch, currentBranch } from "./branch-view";
import { changeThread } from "./change-thread";
import { requireBranch } from "./require-branch";

interface RestoreBranchRequest {
  id: string;
  branch: number & Min<1>;
  /** A retry with the same key gets the first answer again. Up to 255 characters. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface BranchResponse {
  branch: Branch;
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/**
 * Goes back to a branch that was left: its messages are the conversation again, and its agents remember it as they did then. The branch
 * that is left now can be restored in the same way.
 */
export const restoreBranch = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/branches/:branch/restore" },
  async ({ id, branch, idempotency_key }: RestoreBranchRequest): Promise<BranchResponse> => {
    const who = caller();
    const { orgID } = who;
    const request = ["POST /threads/:id/branches/:branch/restore", id, branch];
    return changeThread(who, { threadId: id, key: idempotency_key, request }, async (tx, state, afterwards) => {
      await requireBranch(tx, orgID, id, branch);
      if (branch === state.context.thread.branch) throw alreadyOn(branch);
      const switched = await reenterBranch(tx, { orgId: orgID, threadId: id, state, by: who.userID }, branch);
      afterwards.entries.set(id, switched.entries);
      afterwards.cancelling.set(id, switched.cancelling);
      return { branch: await currentBranch(tx, orgID, id), context: (await requireThread(tx, orgID, id)).context };
    });
  },
);

function alreadyOn(branch: number) {
  return invalid(
    "branch_is_current",
    `branch: the conversation is on branch ${branch} already.`,
    "GET /threads/:id/branches lists the others.",
  );
}
