import { api } from "encore.dev/api";
import type { Max, MaxLen, Min } from "encore.dev/validate";
import { seenBy } from "../db/tenant";
import { invalid } from "../lib/errors";
import { afterAll, isId } from "../lib/ids";
import { whole } from "../lib/whole";
import { caller } from "../organizations/caller";
import { type Thread, threadViews } from "./thread-view";

const PAGE_DEFAULT = 50;

interface ListThreadsRequest {
  limit?: number & (Min<1> & Max<200>);
  /** `next_cursor` of the page before. */
  cursor?: string & MaxLen<64>;
  state?: "active" | "archived";
}

interface ListThreadsResponse {
  threads: Thread[];
  /** Null on the last page. */
  next_cursor: string | null;
}

/** The organization's threads, newest first. */
export const listThreads = api(
  { expose: true, auth: true, method: "GET", path: "/threads" },
  async ({ limit = PAGE_DEFAULT, cursor, state }: ListThreadsRequest): Promise<ListThreadsResponse> => {
    const who = caller();
    whole("limit", limit);
    if (cursor !== undefined && !isId("thread", cursor)) {
      throw invalid(
        "bad_cursor",
        "cursor: this is no cursor of this list.",
        "Send next_cursor of the page before, unchanged.",
      );
    }
    const wanted = { before: cursor ?? afterAll("thread"), state: state ?? null, limit: limit + 1 };
    const page = await seenBy(who, (tx) => threadViews(tx, who.orgID, wanted), { isPage: true });
    const threads = page.slice(0, limit);
    return { threads, next_cursor: page.length > limit ? (threads.at(-1)?.id ?? null) : null };
  },
);
