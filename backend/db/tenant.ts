import type { APIError } from "encore.dev/api";
import type { Transaction } from "encore.dev/storage/sqldb";
import { invalid } from "../lib/errors";
import { firstWord, orAway } from "./away";
import { db } from "./graphyn";

export type Tx = Transaction;

/**
 * Runs `work` in one transaction that sees the rows of one organization only: the role `graphyn_tenant` and the setting
 * `graphyn.org_id` hold until its end and no longer. Commits when `work` returns, rolls back when it throws. A database that is not there
 * is `database_unavailable`; after a commit that was not answered, too.
 */
export async function tenant<T>(orgId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  return transaction(beginFor("graphyn_tenant", orgId), work);
}

/**
 * As `tenant`, for work that waits for somebody in its middle, up to `idleMs` at a time: what it locks is locked so long. For a reader of its
 * bytes or a sender, and for nothing that others need.
 */
export async function tenantPatiently<T>(orgId: string, idleMs: number, work: (tx: Tx) => Promise<T>): Promise<T> {
  return transaction(beginFor("graphyn_tenant", orgId, { idleMs }), work);
}

/**
 * The same, for reading one organization's rows as they are at this moment, however long it takes; it can write none. It holds a connection
 * and keeps the database from cleaning up after everybody: bound its time.
 */
export async function tenantSnapshot<T>(orgId: string, idleMs: number, work: (tx: Tx) => Promise<T>): Promise<T> {
  return transaction(beginFor("graphyn_tenant", orgId, { idleMs, isSnapshot: true }), work);
}

/** As `tenant`, for somebody who waits for the answer: a database that stands still is told as one that is not there. */
export async function tenantSoon<T>(orgId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  return transaction(soon(beginFor("graphyn_tenant", orgId)), work);
}

/**
 * As `tenant`, for one page of a list. PostgreSQL does not know how many rows an organization has (a new one is in no statistics), takes them
 * for few, and would rather read and sort them all than read the page from the index that has them in order: here it does not sort where it
 * need not. For queries whose order an index has.
 */
export async function tenantPage<T>(orgId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  return transaction(beginFor("graphyn_tenant", orgId, { isPage: true }), work);
}

/** For whom something is read. */
export interface Viewer {
  orgID: string;
  userID: string;
  role: "owner" | "admin" | "member" | "guest";
}

/**
 * Runs `work` in one transaction that reads what this caller may see: all of the organization, or, for a guest, the threads in which they take
 * part. A guest's transaction has the role `graphyn_guest`, which cannot write and sees nothing else (29_guests.up.sql). Like `tenantSoon`, it
 * does not wait for a database that stands still. `isPage`: as `tenantPage`.
 */
export async function seenBy<T>(who: Viewer, work: (tx: Tx) => Promise<T>, kind: { isPage?: true } = {}): Promise<T> {
  if (who.role !== "guest") return transaction(soon(beginFor("graphyn_tenant", who.orgID, kind)), work);
  return transaction(soon(beginFor("graphyn_guest", who.orgID, kind)), async (tx) => {
    await tx.exec`select set_config('graphyn.guest', ${who.userID}, true)`;
    return work(tx);
  });
}

/** Goes on with a guest's transaction as the organization's, once the database has shown that the guest sees what it is about. */
export async function actForGuest(tx: Tx): Promise<void> {
  await tx.exec`select set_config('role', 'graphyn_tenant', true)`;
}

/** Runs `work` with the right to find live turns of all organizations and to prolong their leases, and no other. */
export async function dispatch<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
  return transaction(begin("graphyn_dispatch", ""), work);
}

/** Runs `work` with the right to append text to running turns of all organizations, and no other. */
export async function flush<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
  return transaction(begin("graphyn_flush", ""), work);
}

/**
 * A process that stands still in the middle of a transaction holds its locks. After so long, which is a lease (threads/turns/lease.ts), its
 * turns are others', and PostgreSQL ends the transaction that would keep these from them.
 */
const IDLE_MS_MAX = 8_000;

interface Kind {
  /** How long it may stand still, in ms, where that is not IDLE_MS_MAX. */
  idleMs?: number;
  /** It reads what was there at its beginning, and writes nothing. */
  isSnapshot?: boolean;
  /** It reads one page in the order of an index. */
  isPage?: boolean;
}

/** Whoever acts for an organization names it: without one, nothing would be found, and nobody told why. */
function beginFor(role: "graphyn_tenant" | "graphyn_guest", orgId: string, kind?: Kind): Promise<Tx> {
  if (orgId === "") throw new Error("a tenant's transaction needs an organization");
  return begin(role, orgId, kind);
}

async function begin(
  role: string,
  orgId: string,
  { idleMs = IDLE_MS_MAX, isSnapshot, isPage }: Kind = {},
): Promise<Tx> {
  const tx = await db.begin();
  try {
    if (isSnapshot) await tx.exec`set transaction isolation level repeatable read, read only`;
    // set_config(…, true) is SET LOCAL, with the values as parameters. A pooled connection so keeps nothing of a tenant.
    await tx.exec`
      select set_config('role', ${role}, true), set_config('graphyn.org_id', ${orgId}, true),
        set_config('idle_in_transaction_session_timeout', ${String(idleMs)}, true)`;
    if (isPage) await tx.exec`select set_config('enable_sort', 'off', true)`;
    return tx;
  } catch (error) {
    await rollback(tx);
    throw error;
  }
}

function soon(beginning: Promise<Tx>): Promise<Tx> {
  return firstWord(beginning, (tx) => tx.rollback());
}

async function transaction<T>(beginning: Promise<Tx>, work: (tx: Tx) => Promise<T>): Promise<T> {
  let tx: Tx | null = null;
  try {
    tx = await beginning;
    const result = await work(tx);
    await tx.commit();
    return result;
  } catch (error) {
    if (tx) await rollback(tx);
    if (error instanceof Error && UNSTORABLE.test(error.message)) throw unstorable();
    throw orAway(error);
  }
}

async function rollback(tx: Tx): Promise<void> {
  await tx.rollback().catch(() => undefined); // the connection may be gone; the first error is the one to tell
}

/** PostgreSQL's words for U+0000 and for half a character (a lone UTF-16 surrogate), which JSON can carry and its `text` cannot. */
const UNSTORABLE =
  /unsupported Unicode escape sequence|invalid byte sequence for encoding|invalid input syntax for type json/;

function unstorable(): APIError {
  return invalid(
    "bad_text",
    "The text has a character that cannot be stored.",
    "Leave out U+0000 and halves of surrogate pairs; send whole Unicode characters.",
  );
}
