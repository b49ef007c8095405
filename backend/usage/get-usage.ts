import { api } from "encore.dev/api";
import type { Max, MaxLen, Min } from "encore.dev/validate";
import { tenant } from "../db/tenant";
import { invalid } from "../lib/errors";
import { whole } from "../lib/whole";
import { caller } from "../organizations/caller";

/** Days between `from` and `to`. */
const DAYS_MAX = 366;
const DAY_MS = 86_400_000;
const ROWS_DEFAULT = 100;

interface GetUsageRequest {
  /** From this day or moment on (RFC 3339, UTC without an offset); the month's first day without it. */
  from?: string & MaxLen<40>;
  /** Before this day or moment; now without it. */
  to?: string & MaxLen<40>;
  /** What the rows are for; `day` without it. */
  by?: "day" | "agent" | "key" | "person" | "model";
  /** Rows: those that took the most tokens, for days the newest. */
  limit?: number & (Min<1> & Max<1000>);
}

export interface UsageFigures {
  /** Turns that ended, and of these those that did in each way. */
  turns: number;
  completed_turns: number;
  failed_turns: number;
  cancelled_turns: number;
  /** Other calls to models: guesses in vain, Letta's summaries, embeddings. */
  other_calls: number;
  prompt_tokens: number;
  /** Of the prompts' tokens, those the provider had in its cache, as far as it says. */
  cached_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** Of the total, tokens of entries that the provider did not count, or not wholly. */
  estimated_tokens: number;
  /** Millionths of a US dollar, at the prices of then. */
  cost_micros: number;
  /** Tokens of entries whose price was not known: they are not in `cost_micros`. */
  unpriced_tokens: number;
  /** Milliseconds from a turn's start to its first word: the first that so many in a hundred do not exceed. Null where no turn said one. */
  first_token_ms_p50: number | null;
  first_token_ms_p95: number | null;
  first_token_ms_p99: number | null;
}

interface UsageRow extends UsageFigures {
  /** A day (`2026-11-30`, UTC), an id, or a model's name; null for what belongs to none, or to a person who was erased. */
  key: string | null;
}

interface GetUsageResponse {
  from: string;
  to: string;
  by: string;
  rows: UsageRow[];
  /** There are more rows than these; `total` counts them too. */
  truncated: boolean;
  total: UsageFigures;
}

/** $1 organization, $2 from, $3 to, $4 what by, $5 rows. */
const USAGE = `
  with entry as materialized (
    select *, case $4 when 'day' then to_char(created_at at time zone 'UTC', 'YYYY-MM-DD') when 'agent' then agent_id when 'key' then key_id
      when 'person' then user_id else model end as key
    from usage_entries where org_id = $1 and created_at >= $2 and created_at < $3
  ), figures as (
    select key, grouping(key) = 1 as is_total,
      count(*) filter (where purpose = 'turn')::int as turns,
      count(*) filter (where outcome = 'completed')::int as completed_turns,
      count(*) filter (where outcome = 'failed')::int as failed_turns,
      count(*) filter (where outcome = 'cancelled')::int as cancelled_turns,
      count(*) filter (where purpose <> 'turn')::int as other_calls,
      coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens,
      coalesce(sum(cached_tokens), 0)::bigint as cached_tokens,
      coalesce(sum(completion_tokens), 0)::bigint as completion_tokens,
      coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint as total_tokens,
      coalesce(sum(prompt_tokens + completion_tokens) filter (where estimated), 0)::bigint as estimated_tokens,
      coalesce(sum(cost_micros), 0)::bigint as cost_micros,
      coalesce(sum(prompt_tokens + completion_tokens) filter (where cost_micros is null), 0)::bigint as unpriced_tokens,
      percentile_disc(0.50) within group (order by first_token_ms) as first_token_ms_p50,
      percentile_disc(0.95) within group (order by first_token_ms) as first_token_ms_p95,
      percentile_disc(0.99) within group (order by first_token_ms) as first_token_ms_p99
    from entry group by grouping sets ((key), ())
  )
  select * from figures
  order by is_total desc, case when $4 = 'day' then key end desc, total_tokens desc, key
  limit $5`;

/** What the organization has spent on language models, by day, agent, key, person or model. */
export const getUsage = api(
  { expose: true, auth: true, method: "GET", path: "/usage" },
  async ({ from, to, by = "day", limit = ROWS_DEFAULT }: GetUsageRequest): Promise<GetUsageResponse> => {
    const { orgID } = caller();
    whole("limit", limit);
    const until = to === undefined ? new Date() : readTime("to", to);
    const month = new Date(Date.UTC(until.getUTCFullYear(), until.getUTCMonth()));
    const since = from === undefined ? month : readTime("from", from);
    const days = (until.getTime() - since.getTime()) / DAY_MS;
    if (days < 0 || days > DAYS_MAX) {
      throw invalid(
        "bad_time_range",
        `from must not be after to, and lie ${DAYS_MAX} days before it at most.`,
        "Ask for one year after the other.",
        { days_max: DAYS_MAX },
      );
    }
    const figures = await tenant(orgID, (tx) =>
      tx.rawQueryAll<UsageRow & { is_total: boolean }>(USAGE, orgID, since, until, by, limit + 2),
    );
    const [first, ...rest] = figures.map(({ is_total: _, ...row }) => row);
    if (!first) throw new Error("sums without a total");
    const { key: __, ...total } = first;
    return {
      from: since.toISOString(),
      to: until.toISOString(),
      by,
      rows: rest.slice(0, limit),
      truncated: rest.length > limit,
      total,
    };
  },
);

/** PostgreSQL has no year 0. */
const TIME = /^(?!0000)\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/;

function readTime(name: string, text: string): Date {
  const hasZone = /(Z|[+-]\d\d:\d\d)$/.test(text) || !text.includes("T"); // a bare date is UTC's
  const time = new Date(TIME.test(text) ? (hasZone ? text : `${text}Z`) : Number.NaN);
  if (Number.isNaN(time.getTime())) {
    throw invalid("bad_time_range", `${name}: no day or time.`, "Write it as 2026-11-30 or 2026-11-30T12:00:00Z.", {
      days_max: DAYS_MAX,
    });
  }
  return time;
}
