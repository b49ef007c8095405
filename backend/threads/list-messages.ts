import { api } from "encore.dev/api";
import type { Max, MaxLen, Min } from "encore.dev/validate";
import { entryCursor } from "../lib/cursor";
import type { Message } from "../lib/events";
import { whole } from "../lib/whole";
import { caller } from "../organizations/caller";
import { requireBranch } from "./branches/require-branch";
import { lookInThread, requireThread } from "./in-thread";
import type { ThreadContext } from "./thread-context";
import { requireCursor } from "./thread-cursor";

const PAGE_DEFAULT = 50;

interface ListMessagesRequest {
  id: string;
  limit?: number & (Min<1> & Max<500>);
  /** Where to go on: `next_cursor` of the page before, or any cursor of this thread. */
  cursor?: string & MaxLen<2000>;
  /** `asc` (default) reads on from the cursor; `desc` reads back from it, newest first. */
  order?: "asc" | "desc";
  /** Another branch than the one the conversation is on. */
  branch?: number & Min<1>;
  /** `rewound` also shows what is no longer part of the conversation: every message of every branch, in the order of the log. */
  include?: "rewound";
}

type MessageRow = Omit<Message, "created_at" | "thread_id"> & { created_at: Date };

interface ListMessagesResponse {
  messages: Message[];
  /** Null on the last page. */
  next_cursor: string | null;
  context: ThreadContext;
}

/** A thread's messages, by the cursor that its stream uses too. */
export const listMessages = api(
  { expose: true, auth: true, method: "GET", path: "/threads/:id/messages" },
  async ({
    id,
    limit = PAGE_DEFAULT,
    cursor,
    order = "asc",
    branch,
    include,
  }: ListMessagesRequest): Promise<ListMessagesResponse> => {
    const who = caller();
    const { orgID } = who;
    return lookInThread(who, id, async (tx) => {
      whole("limit", limit);
      const { context } = await requireThread(tx, orgID, id);
      const at = cursor === undefined ? null : requireCursor(id, cursor, context.last_seq);
      if (branch !== undefined) await requireBranch(tx, orgID, id, branch);
      // No branch has the number 0, so it has the whole log.
      const of = include === "rewound" ? 0 : (branch ?? context.thread.branch);
      const rows =
        order === "asc"
          ? await tx.queryAll<MessageRow>`
              select m.* from branch_spans(${orgID}, ${id}, ${of}::int) s cross join lateral (
                select id, seq, sender_type, sender_id, sender_name, content, status, turn_id, mentions, reason, branch, origin, created_at
                from messages where org_id = ${orgID} and thread_id = ${id}
                  and seq >= greatest(s.lo, ${at?.seq ?? 0}::bigint + 1) and seq <= s.hi
                order by seq limit ${limit + 1}
              ) m order by m.seq limit ${limit + 1}`
          : await tx.queryAll<MessageRow>`
              select m.* from branch_spans(${orgID}, ${id}, ${of}::int) s cross join lateral (
                select id, seq, sender_type, sender_id, sender_name, content, status, turn_id, mentions, reason, branch, origin, created_at
                from messages where org_id = ${orgID} and thread_id = ${id}
                  and seq >= s.lo and seq <= least(s.hi, ${at?.seq ?? Number.MAX_SAFE_INTEGER}::bigint - 1)
                order by seq desc limit ${limit + 1}
              ) m order by m.seq desc limit ${limit + 1}`;
      const messages = rows
        .slice(0, limit)
        .map((row) => ({ ...row, thread_id: id, created_at: row.created_at.toISOString() }));
      const last = messages.at(-1);
      return {
        messages,
        next_cursor: rows.length > limit && last ? entryCursor(id, last.seq) : null,
        context,
      };
    });
  },
);
