import type { Tx } from "../../db/tenant";
import type { LogEntry } from "../../lib/events";
import { marked, runOnce } from "../../lib/idempotency";
import type { Caller } from "../../organizations/authenticate";
import type { LimitState } from "../../usage/limit";
import { type RateLimitFields, rateLimitFields } from "../../usage/rate-limit-fields";
import { inThread, requireLockedThread } from "../in-thread";
import { publish } from "../live/channels";
import { refuseArchived } from "../refuse-message";
import { requireMay } from "../roles";
import type { ThreadState } from "../thread-context";
import { beginCancelling, type Cancelling } from "../turns/cancel";
import { startTurns, type TurnToRun } from "../turns/run-turn";

interface Request {
  threadId: string;
  /** Another thread that the change writes into: both are locked in the order of their ids, so that two changes never wait for each other. */
  otherThreadId?: string;
  /** The Idempotency-Key. */
  key: string | undefined;
  /** What makes two requests the same one. */
  request: unknown[];
}

/** What is done once the transaction is committed: `work` fills it in. */
export interface Afterwards {
  /** Entries to publish, by thread, in the order they were appended. */
  entries: Map<string, LogEntry[]>;
  /** Turns to be stopped, by thread. */
  cancelling: Map<string, Cancelling>;
  starting: TurnToRun[];
  later: (() => Promise<void>)[];
  /** The limits on spending that held for its turns. */
  limits: LimitState[];
}

/**
 * One change of what a thread consists of: one transaction under its lock, refused in an archived thread and to those whose role does not
 * allow it. Then its readers are told, what the agents were about to say is stopped, and their new turns begin: after the commit and not
 * before, because until then their Letta conversations are still those of the branch that is left.
 */
export async function changeThread<T extends object>(
  who: Caller,
  { threadId, otherThreadId, key, request }: Request,
  work: (tx: Tx, state: ThreadState, afterwards: Afterwards) => Promise<T>,
): Promise<T & RateLimitFields & { replayed?: string }> {
  const { orgID } = who;
  const afterwards: Afterwards = { entries: new Map(), cancelling: new Map(), starting: [], later: [], limits: [] };
  const answered = await inThread(who, threadId, (tx) =>
    runOnce(tx, { orgId: orgID, caller: who.userID, key, request, threadId }, async () => {
      if (otherThreadId !== undefined && otherThreadId < threadId) await requireLockedThread(tx, orgID, otherThreadId);
      const state = await requireLockedThread(tx, orgID, threadId);
      refuseArchived(state);
      requireMay(state, who, "branch");
      return work(tx, state, afterwards);
    }),
  );
  for (const [id, entries] of afterwards.entries) publish(orgID, id, entries);
  for (const [id, cancelling] of afterwards.cancelling) void beginCancelling(orgID, id, { ...cancelling, entries: [] });
  startTurns(afterwards.starting);
  for (const work of afterwards.later) await work();
  return { ...marked(answered), ...rateLimitFields(afterwards.limits) };
}
