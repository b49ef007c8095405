import type { Tx } from "../db/tenant";
import type { WhenBusy } from "./turns/when-busy";

/** A thread as lists and answers show it. */
export interface Thread {
  id: string;
  organization_id: string;
  title: string | null;
  type: string;
  state: "active" | "archived";
  /** What a message does at an agent that is still answering, unless the message says otherwise. */
  when_busy: WhenBusy;
  last_seq: number;
  branch: number;
  /** The thread it was forked or split from, and that thread's last entry that counts; null where it was not, or that was erased. */
  parent_id: string | null;
  parent_seq: number | null;
  created_by: string;
  /** RFC 3339. */
  created_at: string;
  /** When its log last grew, or its title changed. */
  updated_at: string;
}

interface ThreadRow extends Omit<Thread, "created_at" | "updated_at" | "organization_id"> {
  created_at: Date;
  updated_at: Date;
}

export async function threadView(tx: Tx, orgId: string, threadId: string): Promise<Thread | null> {
  const row = await tx.queryRow<ThreadRow>`
    select id, title, type, state, when_busy, last_seq, branch, parent_id, parent_seq, created_by, created_at, updated_at
    from threads where org_id = ${orgId} and id = ${threadId}`;
  return row && toThread(orgId, row);
}

interface ThreadPage {
  before: string;
  state: string | null;
  limit: number;
}

/** Threads, newest first, before the id `before`. */
export async function threadViews(tx: Tx, orgId: string, { before, state, limit }: ThreadPage): Promise<Thread[]> {
  const rows = await tx.queryAll<ThreadRow>`
    select id, title, type, state, when_busy, last_seq, branch, parent_id, parent_seq, created_by, created_at, updated_at
    from threads
    where org_id = ${orgId} and id < ${before} and (${state}::text is null or state = ${state})
    order by id desc limit ${limit}`;
  return rows.map((row) => toThread(orgId, row));
}

function toThread(orgId: string, { created_at, updated_at, ...row }: ThreadRow): Thread {
  return { ...row, organization_id: orgId, created_at: created_at.toISOString(), updated_at: updated_at.toISOString() };
}
