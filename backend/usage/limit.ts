import type { LimitName } from "../lib/events";

/** What a limit is on: all of an organization, or one of its keys, people, agents or threads. */
export type Scope = LimitName["scope"];
export type Metric = LimitName["metric"];

/** How much of what. Minutes and months are the calendar's, in UTC; money is millionths of a US dollar. */
export type Amounts = Record<Metric, number | null>;

export const METRICS = [
  "requests_per_minute",
  "tokens_per_minute",
  "tokens_per_month",
  "cost_micros_per_month",
] as const satisfies Metric[];

/** A row of the table `limits`: the limit and its counters, which are of the minute and month that `minute_at` and `month_at` name. */
export interface LimitRow extends Amounts {
  scope: Scope;
  scope_id: string;
  minute_at: Date;
  minute_tokens: number;
  minute_reserved: number;
  minute_requests: number;
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
  /** How long its minute or month takes, and how much longer, ms. */
  windowMs: number;
  resetMs: number;
}

const MINUTE_MS = 60_000;

export function minuteOf(at: Date): Date {
  return new Date(Math.floor(at.getTime() / MINUTE_MS) * MINUTE_MS);
}

export function monthOf(at: Date, months = 0): Date {
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months));
}

/**
 * The limits of a row that hold at a moment. A row that was last counted in an earlier minute or month has nothing spent of the present
 * one; one that was counted in a later one does not hold for that moment any more.
 */
export function statesOf(row: LimitRow, amounts: Amounts, at: Date): LimitState[] {
  return METRICS.flatMap((metric): LimitState[] => {
    const limit = amounts[metric];
    if (limit === null) return [];
    const isMinute = metric.endsWith("minute");
    const begin = isMinute ? minuteOf(at) : monthOf(at);
    const end = isMinute ? new Date(begin.getTime() + MINUTE_MS) : monthOf(at, 1);
    const counted = isMinute ? row.minute_at : row.month_at;
    if (counted > begin) return [];
    const taken = counted < begin ? 0 : takenOf(row, metric);
    const { scope, scope_id } = row;
    const windowMs = end.getTime() - begin.getTime();
    return [{ scope, scope_id, metric, limit, left: limit - taken, windowMs, resetMs: end.getTime() - at.getTime() }];
  });
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
