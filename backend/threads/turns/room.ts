import { ErrCode } from "encore.dev/api";
import { problem } from "../../lib/errors";

/**
 * How many turns this process holds that are being answered or wait for a place at Letta. The places are shared out fairly
 * (lib/fair-queue.ts), but who waits takes memory and has to be answered one day. So a message beyond the bound is refused before it is
 * stored; what was accepted waits its turn. Turns that follow from others, and those of a process that died, are never refused.
 */
const TURNS_MAX = 6_000;
/** Of one organization, so that it leaves room for others. */
const TURNS_OF_ONE_MAX = Number(process.env.GRAPHYN_TURNS_OF_ONE_MAX) || 1_500;
/** When to come back, ms: several turns have ended by then, whatever the model. */
const RETRY_AFTER_MS = 5_000;

const held = new Map<string, number>();
let all = 0;

/** Counts a turn in; the function it gives back counts it out. */
export function takeRoom(orgId: string): () => void {
  held.set(orgId, (held.get(orgId) ?? 0) + 1);
  all++;
  return () => {
    all--;
    const left = (held.get(orgId) ?? 1) - 1;
    if (left === 0) held.delete(orgId);
    else held.set(orgId, left);
  };
}

/** Throws `too_many_waiting` when so many further turns would be too many. Ask right before they begin, with no `await` between. */
export function refuseNoRoom(orgId: string, coming: number): void {
  const here = held.get(orgId) ?? 0;
  if (coming === 0 || (here + coming <= TURNS_OF_ONE_MAX && all + coming <= TURNS_MAX)) return;
  const isOwn = here + coming > TURNS_OF_ONE_MAX;
  throw problem(
    ErrCode.ResourceExhausted,
    "too_many_waiting",
    isOwn
      ? `Your organization has ${here} answers waiting or under way; ${TURNS_OF_ONE_MAX} may be.`
      : "Too many answers are waiting or under way.",
    `Send it again after ${RETRY_AFTER_MS} ms: nothing of it was stored.`,
    { turns_max: isOwn ? TURNS_OF_ONE_MAX : TURNS_MAX, retry_after_ms: RETRY_AFTER_MS },
  );
}
