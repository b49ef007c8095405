/**
 * A reader of a thread, from its cursor to its end:
 *
 *   replaying ──log_end──▶ joining ──joined──▶ live
 *    │  ▲  ▲─────behind──────┘                  │
 *    │  └──drained── draining                   │
 *    └──full──────────▲                         │
 *   any of them ──left, slow, lost, erased────▶ ended
 *
 * `replaying`: it is given pages of the log. `draining`: it has much unread, and the replay waits. `joining`: it has the whole log as it
 * was read and looks whether the channel stands there too. `live`: the channel gives it what happens. SPEC.md has the invariants.
 */
export type ReaderState = "replaying" | "draining" | "joining" | "live" | "ended";
export type ReaderEvent =
  /** A page of the log was given, and there may be more. */
  | "page"
  /** The log was given to its end. */
  | "log_end"
  /** Much of what was given is unread. */
  | "full"
  /** Most of it was read. */
  | "drained"
  | "joined"
  /** The channel is further than the log as it was read. */
  | "behind"
  | ReaderEnd;
/** Why a reader ended: its client or its time; it read too slowly; the channel had a hole; the thread is no more. */
export type ReaderEnd = "left" | "slow" | "lost" | "erased";

const ENDS = { left: "ended", slow: "ended", lost: "ended", erased: "ended" } as const;
const NEVER = { page: null, log_end: null, full: null, drained: null, joined: null, behind: null } as const;

/** Null: this cannot happen in that state. What still arrives for an ended reader changes nothing. */
export const READER_TRANSITIONS = {
  replaying: { ...NEVER, ...ENDS, page: "replaying", log_end: "joining", full: "draining" },
  draining: { ...NEVER, ...ENDS, drained: "replaying" },
  joining: { ...NEVER, ...ENDS, joined: "live", behind: "replaying" },
  live: { ...NEVER, ...ENDS },
  ended: {
    page: "ended",
    log_end: "ended",
    full: "ended",
    drained: "ended",
    joined: "ended",
    behind: "ended",
    ...ENDS,
  },
} as const satisfies Record<ReaderState, Record<ReaderEvent, ReaderState | null>>;

export function nextReaderState(state: ReaderState, event: ReaderEvent): ReaderState {
  const next: ReaderState | null = READER_TRANSITIONS[state][event];
  if (next === null) throw new Error(`a reader that is ${state} cannot meet "${event}"`);
  return next;
}

export function isReaderEnd(event: ReaderEvent): event is ReaderEnd {
  return event in ENDS;
}
