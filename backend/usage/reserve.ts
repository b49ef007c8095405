import type { Tx } from "../db/tenant";
import { reservations } from "../lib/metrics";
import type { Price } from "../models/upstreams/upstream";
import { ARE_ALL_LIMITED, heldTo } from "./ceilings";
import { ANSWER_TOKENS, PROMPT_CHARS_PER_TOKEN, type Reserved } from "./estimates";
import { type LimitRow, type LimitState, statesOf } from "./limit";
import { openLimits } from "./open-limits";
import { quotaExceeded } from "./quota";

/** What Letta adds to an agent's instructions in each prompt: its own, the descriptions of tools, empty memory. */
const LETTA_PROMPT_TOKENS = 1_500;
/** Turns of the thread that are looked through for the agent's last one. */
const LAST_TURNS_MAX = 50;

/**
 * What the prompt of a turn will be, besides the new message: what the agent's last turn in the thread came to, as it is in the next
 * prompt; of the first turn, its instructions. `t` names organization, thread, agent and version.
 */
export const EXPECTED_PROMPT = `
  coalesce(
    (select last.prompt_tokens + coalesce(last.completion_tokens, 0) from (
      select l.agent_id, l.id, l.prompt_tokens, l.completion_tokens from turns l
      where l.org_id = t.org_id and l.thread_id = t.thread_id order by l.id desc limit ${LAST_TURNS_MAX}) last
     where last.agent_id = t.agent_id and last.prompt_tokens > 0 order by last.id desc limit 1),
    (select ${LETTA_PROMPT_TOKENS} + ceil(length(v.system_prompt) / ${PROMPT_CHARS_PER_TOKEN}.0)::int from agent_versions v
     where v.org_id = t.org_id and v.id = t.agent_version_id),
    ${LETTA_PROMPT_TOKENS})`;

/** Who asks for what: the person and the key (none in a session, none of what agents ask of each other) that it counts for, too. */
export interface Asker {
  userId: string | null;
  keyId: string | null;
}

export interface TurnAsked {
  id: string;
  agent_id: string;
  agent_version_id: string;
  /** Characters of the message it answers. */
  chars: number;
  /** Of the model that will be asked; null where it is not known, and money is not counted. */
  price: Price | null;
}

export interface Asking extends Asker {
  orgId: string;
  threadId: string | null;
  /** Requests that this is: 1, or 0 for what follows from an earlier one. */
  requests: 0 | 1;
  turns: TurnAsked[];
}

export interface Reservation {
  /** By the turn's id. */
  turns: Map<string, Reserved>;
  /** The limits that hold, with what is left. */
  states: LimitState[];
}

const NOTHING: Reservation = { turns: new Map(), states: [] };

/** $1 organization, $2 person, $3 key, $4 thread, $5 requests, $6 turns, $7 when they were asked: now without it. */
const RESERVE = `
  with gate as materialized (
    select 1 from limits where org_id = $1 and scope = 'organization' and scope_id = $1 for no key update
  ), moment as materialized (
    select at, date_trunc('minute', at, 'UTC') as minute, date_trunc('month', at, 'UTC') as month
    from (select coalesce($7::timestamptz, clock_timestamp()) as at from gate) g
  ), estimated as materialized (
    select t.id, t.agent_id, t.price, coalesce(t.tokens, ${EXPECTED_PROMPT} + ceil(t.chars / ${PROMPT_CHARS_PER_TOKEN}.0)::int) as prompt,
      case when t.tokens is null then ${ANSWER_TOKENS} else 0 end as answer, t.cost
    from (
      select $1::text as org_id, $4::text as thread_id, a.*
      from jsonb_to_recordset($6::text::jsonb)
        as a(id text, agent_id text, agent_version_id text, chars int, price jsonb, tokens int, cost bigint)) t
  ), asked as materialized (
    select id, agent_id, (prompt + answer)::bigint as tokens,
      coalesce(cost, ceil(prompt * (price->>'prompt')::float8 + answer * (price->>'completion')::float8)::bigint, 0) as cost
    from estimated
  ), wanted as (
    select s.scope, s.scope_id, coalesce(sum(a.tokens), 0)::bigint as tokens, coalesce(sum(a.cost), 0)::bigint as cost, $5::int as requests
    from (
      values ('organization', $1::text), ('person', $2::text), ('thread', $4::text)
      union all select 'key', k from key_line($1::text, $3::text) k
    ) s(scope, scope_id) left join asked a on true
    where s.scope_id is not null group by s.scope, s.scope_id
    union all select 'agent', agent_id, sum(tokens)::bigint, sum(cost)::bigint, $5::int from asked group by agent_id
  ), counted as (
    update limits l set
      before_tokens = case when m.minute > l.minute_at then case when m.minute = l.minute_at + interval '1 minute' then l.minute_tokens else 0 end
        else l.before_tokens end,
      before_reserved = case
        when m.minute > l.minute_at then case when m.minute = l.minute_at + interval '1 minute' then l.minute_reserved else 0 end
        when m.minute = l.minute_at - interval '1 minute' then l.before_reserved + w.tokens
        else l.before_reserved end,
      before_requests = case
        when m.minute > l.minute_at then case when m.minute = l.minute_at + interval '1 minute' then l.minute_requests else 0 end
        else l.before_requests end,
      minute_tokens = case when m.minute > l.minute_at then 0 else l.minute_tokens end,
      minute_reserved = case when m.minute > l.minute_at then w.tokens when m.minute = l.minute_at then l.minute_reserved + w.tokens
        else l.minute_reserved end,
      minute_requests = case when m.minute > l.minute_at then w.requests when m.minute = l.minute_at then l.minute_requests + w.requests
        else l.minute_requests end,
      minute_at = greatest(l.minute_at, m.minute),
      month_tokens = case when m.month > l.month_at then 0 else l.month_tokens end,
      month_reserved = case when m.month > l.month_at then w.tokens when m.month = l.month_at then l.month_reserved + w.tokens
        else l.month_reserved end,
      month_cost = case when m.month > l.month_at then 0 else l.month_cost end,
      month_cost_reserved = case when m.month > l.month_at then w.cost when m.month = l.month_at then l.month_cost_reserved + w.cost
        else l.month_cost_reserved end,
      month_at = greatest(l.month_at, m.month)
    from moment m, wanted w
    where l.org_id = $1 and l.scope = w.scope and l.scope_id = w.scope_id
    returning l.*, w.tokens as wanted_tokens, w.cost as wanted_cost, w.requests as wanted_requests
  )
  select (select at from moment) as at,
    (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'tokens', tokens, 'cost', cost)), '[]') from asked) as turns,
    (select coalesce(jsonb_agg(to_jsonb(c) order by c.scope, c.scope_id), '[]') from counted c) as limits`;

interface Counted extends LimitRow {
  wanted_tokens: number;
  wanted_cost: number;
  wanted_requests: number;
}

interface Row {
  at: Date | null;
  turns: { id: string; tokens: number; cost: number }[];
  limits: (Omit<Counted, "minute_at" | "month_at"> & { minute_at: string; month_at: string })[];
}

/**
 * Sets aside what turns are estimated to take, in all limits that hold for them, and throws `quota_exceeded` where it does not fit one:
 * the transaction is then to be rolled back, and with it what was set aside. Run it under the thread's lock, in the transaction that
 * stores the turns, before any model is asked. From here to the commit the organization's other reservations wait, so no two take the
 * same tokens. Costs one statement, and only organizations that have limits.
 *
 * `isLimited`: whether the organization had any limit when the thread was read.
 */
export async function reserve(tx: Tx, asking: Asking, isLimited: boolean): Promise<Reservation> {
  if (!isLimited && !ARE_ALL_LIMITED) return NOTHING;
  const { orgId, userId, keyId, threadId, requests, turns } = asking;
  const ask = () => tx.rawQueryRow<Row>(RESERVE, orgId, userId, keyId, threadId, requests, JSON.stringify(turns), null);
  let row = await ask();
  if (!row?.at && ARE_ALL_LIMITED) {
    await openLimits(tx, orgId);
    row = await ask();
  }
  if (!row?.at) return NOTHING; // its last limit was taken away meanwhile
  const { at } = row;
  const states = counting(() => statesAfter(row.limits.map(readDates), at));
  return {
    turns: new Map(row.turns.map(({ id, tokens, cost }) => [id, { at, tokens, costMicros: cost }])),
    states,
  };
}

function counting<T>(work: () => T): T {
  let outcome: "granted" | "refused" = "refused";
  try {
    const result = work();
    outcome = "granted";
    return result;
  } finally {
    reservations.inc({ outcome });
  }
}

export interface More {
  orgId: string;
  threadId: string;
  agentId: string;
  asker: Asker;
  /** When the turn was asked. */
  at: Date;
  tokens: number;
  costMicros: number;
}

/** The same for a turn that takes more than was set aside for it. It counts where the turn does: in a minute that is over no limit holds. */
export async function reserveMore(
  tx: Tx,
  { orgId, threadId, agentId, asker, at, tokens, costMicros }: More,
): Promise<void> {
  const turns = JSON.stringify([{ agent_id: agentId, tokens, cost: costMicros }]);
  const row = await tx.rawQueryRow<Row>(RESERVE, orgId, asker.userId, asker.keyId, threadId, 0, turns, at);
  if (row?.at) statesAfter(row.limits.map(readDates), at);
}

/** The limits as they are with what was just set aside. Throws when one of them is exceeded, the one that is so for longest. */
function statesAfter(rows: Counted[], at: Date): LimitState[] {
  const states = rows.flatMap((row) =>
    statesOf(row, heldTo(row.scope, row), at).map((state) => ({ ...state, needed: neededOf(row, state) })),
  );
  const broken = states.filter(({ left, needed }) => left < 0 && needed > 0);
  const waitOf = (state: (typeof broken)[number]) => state.fitsMs(state.needed) ?? Number.POSITIVE_INFINITY;
  const [worst] = broken.toSorted((a, b) => waitOf(b) - waitOf(a) || b.resetMs - a.resetMs);
  if (worst) throw quotaExceeded(worst, worst.needed);
  return states.map(({ needed: _, ...state }) => state);
}

function neededOf(row: Counted, { metric }: LimitState): number {
  if (metric === "requests_per_minute") return row.wanted_requests;
  return metric === "cost_micros_per_month" ? row.wanted_cost : row.wanted_tokens;
}

function readDates({ minute_at, month_at, ...row }: Row["limits"][number]): Counted {
  return { ...row, minute_at: new Date(minute_at), month_at: new Date(month_at) };
}
