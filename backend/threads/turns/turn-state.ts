/**
 * A turn is one agent answering one message. Its states and the only ways between them:
 *
 *   queued ──start──▶ running ──complete──▶ completed
 *     │                 │ ├──────fail─────▶ failed
 *     │                 │ └─────cancel────▶ cancelled
 *     ├──cancel──▶ cancelled
 *     ├──fail────▶ failed          (its process died and nobody could take it over)
 *     └──join──▶ completed         (its message joined a running turn, whose answer answers both)
 *   running ──retry──▶ queued      (nothing was said yet)
 *
 * Every change is one transaction that checks the state it comes from, so that of two who try, one wins and the other knows.
 */
export type TurnState = "queued" | "running" | "completed" | "failed" | "cancelled";
export type TurnAction = "start" | "retry" | "complete" | "join" | "fail" | "cancel";

export const TRANSITIONS = {
  queued: { start: "running", retry: null, complete: null, join: "completed", fail: "failed", cancel: "cancelled" },
  running: { start: null, retry: "queued", complete: "completed", join: null, fail: "failed", cancel: "cancelled" },
  completed: { start: null, retry: null, complete: null, join: null, fail: null, cancel: null },
  failed: { start: null, retry: null, complete: null, join: null, fail: null, cancel: null },
  cancelled: { start: null, retry: null, complete: null, join: null, fail: null, cancel: null },
} as const satisfies Record<TurnState, Record<TurnAction, TurnState | null>>;

/** The states an action may begin in: what an `update … where state = any(…)` checks. */
export function statesFor(action: TurnAction): TurnState[] {
  return (Object.keys(TRANSITIONS) as TurnState[]).filter((state) => TRANSITIONS[state][action] !== null);
}
