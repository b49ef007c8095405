import type { LimitName } from "../lib/events";

/** What a limit is on: all of an organization, or one of its keys, people, agents or threads. */
export type Scope = LimitName["scope"];
export type Metric = LimitName["metric"];

/** How much of what. A minute is the last sixty seconds; months are the calendar's, in UTC; money is millionths of a US dollar. */
export type Amounts = Record<Metric, number | null>;

export const METRICS = [
  "requests_per_minute",
  "tokens_per_minute",
  "tokens_per_month",
  "cost_micros_per_month",
] as const satisfies Metric[];

/**
 * A row of the table `limits`: the limit and its counters, which are of the minute and month that `minute_at` and `month_at` name, and of
 * the minute before that one.
 */
export interface LimitRow extends Amounts {
  scope: Scope;
  scope_id: string;
  minute_at: Date;
  minute_tokens: number;
  minute_reserved: number;
  minute_requests: number;
  before_tokens: number;
  before_reserved: number;
  before_requests: number;
  month_at: Date;
  month_tokens: number;
  month_reserved: number;
  month_cost: number;
  month_cost_reserved: number;
}

/** One limit with what of it is left. */
export interface LimitState extends LimitName {
  limit: number;
  /** What is neither spent nor set aside; negative where more is. */
  left: number;
  windowMs: number;
  /** Until all of it is back, if nothing more is taken, ms. */
  resetMs: number;
  /** Until so much would fit that is counted here as taken, if nothing else is taken, ms; null: never. */
  fitsMs(asked: number): number | null;
}

const MINUTE_MS = 60_000;

export function minuteOf(at: Date): Date {
  return new Date(Math.floor(at.getTime() / MINUTE_MS) * MINUTE_MS);
}

export function monthOf(at: Date, months = 0): Date {
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months));
}

/**
 * The limits of a row that hold at a moment. Of what was taken in the minute before the present one so much counts as its last sixty seconds
 * reach back into it, in whole ones: a minute's amount cannot be had twice around a full minute, and who asks evenly is not refused. A row that was last counted in an earlier month has nothing
 * spent of the present one; one that was counted in a later minute or month does not hold for that moment any more.
 */
export function statesOf(row: LimitRow, amounts: Amounts, at: Date): LimitState[] {
  return METRICS.flatMap((metric): LimitState[] => {
    const limit = amounts[metric];
    if (limit === null) return [];
    const { scope, scope_id } = row;
    const window = metric.endsWith("minute") ? minuteWindow(row, metric, at) : monthWindow(row, metric, at);
    return window === null ? [] : [{ scope, scope_id, metric, limit, ...leftOf(limit, window) }];
  });
}

/** What is taken of a limit, and how it comes back: `past` evenly until `turnMs` from now, `present` from then on and evenly in a further window, if it slides. */
interface Window {
  past: number;
  present: number;
  turnMs: number;
  windowMs: number;
  slides: boolean;
}

function minuteWindow(row: LimitRow, metric: Metric, at: Date): Window | null {
  const minutes = (minuteOf(at).getTime() - row.minute_at.getTime()) / MINUTE_MS; // since the row was counted
  if (minutes < 0) return null;
  const turnMs = MINUTE_MS - (at.getTime() % MINUTE_MS);
  const counted = takenOf(row, metric);
  const before = metric === "requests_per_minute" ? row.before_requests : row.before_tokens + row.before_reserved;
  const past = minutes === 0 ? before : minutes === 1 ? counted : 0;
  return {
    past: (past * turnMs) / MINUTE_MS,
    present: minutes === 0 ? counted : 0,
    turnMs,
    windowMs: MINUTE_MS,
    slides: true,
  };
}

function monthWindow(row: LimitRow, metric: Metric, at: Date): Window | null {
  const [begin, end] = [monthOf(at), monthOf(at, 1)];
  if (row.month_at > begin) return null;
  const present = row.month_at < begin ? 0 : takenOf(row, metric);
  const turnMs = end.getTime() - at.getTime();
  return { past: 0, present, turnMs, windowMs: end.getTime() - begin.getTime(), slides: false };
}

function leftOf(limit: number, { past, present, turnMs, windowMs, slides }: Window) {
  return {
    left: limit - Math.floor(past) - present,
    windowMs,
    resetMs: slides && present > 0 ? turnMs + windowMs : turnMs,
    fitsMs(asked: number): number | null {
      const [may, stays] = [limit - asked, present - asked];
      if (may < 0) return null;
      // Until no more than that is left of what goes evenly.
      const until = (most: number, of: number, ms: number) =>
        of < most + 1 ? 0 : Math.ceil(ms * (1 - (most + 1) / of)) + 1;
      if (stays <= may) return until(may - stays, past, turnMs);
      return slides ? turnMs + until(may, stays, windowMs) : turnMs;
    },
  };
}

function takenOf(row: LimitRow, metric: Metric): number {
  switch (metric) {
    case "requests_per_minute":
      return row.minute_requests;
    case "tokens_per_minute":
      return row.minute_tokens + row.minute_reserved;
    case "tokens_per_month":
      return row.month_tokens + row.month_reserved;
    case "cost_micros_per_month":
      return row.month_cost + row.month_cost_reserved;
  }
}
