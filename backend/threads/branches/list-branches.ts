import { api } from "encore.dev/api";
import { caller } from "../../organizations/caller";
import { lookInThread, requireThread } from "../in-thread";
import type { ThreadContext } from "../thread-context";
import { type Branch, branchViews } from "./branch-view";

interface ListBranchesResponse {
  branches: Branch[];
  context: ThreadContext;
}

/** The ways a thread's conversation has gone, oldest first. Their messages: GET /threads/:id/messages?branch=. */
export const listBranches = api(
  { expose: true, auth: true, method: "GET", path: "/threads/:id/branches" },
  async ({ id }: { id: string }): Promise<ListBranchesResponse> => {
    const who = caller();
    const { orgID } = who;
    return lookInThread(who, id, async (tx) => {
      const { context } = await requireThread(tx, orgID, id);
      return { branches: await branchViews(tx, orgID, id), context };
    });
  },
);
