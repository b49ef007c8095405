import type { Tx } from "../db/tenant";
import type { Scope } from "./limit";

/**
 * Locks the organization's limits, which everybody who counts or changes them does first; its own row is made where there is none yet.
 * That first time waits for turns that are just ending, and they for it: what they spent is in the new row or in their own counting.
 */
export async function openLimits(tx: Tx, orgId: string): Promise<void> {
  if (await holdLimits(tx, orgId)) return;
  await tx.exec`select pg_advisory_xact_lock(limits_lock(${orgId}))`;
  await insertLimit(tx, orgId, "organization", orgId);
  await holdLimits(tx, orgId);
}

/** Locks the organization's limits; false where it has none. */
export async function holdLimits(tx: Tx, orgId: string): Promise<boolean> {
  const row = await tx.queryRow`
    select 1 as here from limits where org_id = ${orgId} and scope = 'organization' and scope_id = ${orgId} for no key update`;
  return row !== null;
}

/** A row for a scope, with what is spent and set aside of this minute, the one before and this month; nothing happens where there is one. */
export async function insertLimit(tx: Tx, orgId: string, scope: Scope, scopeId: string): Promise<void> {
  await tx.exec`
    with moment as materialized (
      select date_trunc('minute', clock_timestamp(), 'UTC') as minute, date_trunc('month', clock_timestamp(), 'UTC') as month
    ), spent as (
      select coalesce(sum(prompt_tokens + completion_tokens), 0) as month_tokens, coalesce(sum(cost_micros), 0) as month_cost,
        coalesce(sum(prompt_tokens + completion_tokens) filter (where asked_at >= minute), 0) as minute_tokens,
        coalesce(sum(prompt_tokens + completion_tokens) filter (where asked_at >= minute - interval '1 minute' and asked_at < minute), 0)
          as before_tokens
      from usage_entries, moment
      where org_id = ${orgId} and asked_at >= month and (${scope} = 'organization' or (${scope} = 'key' and key_id in (select key_heirs(${orgId}, ${scopeId})))
          or ${scopeId} = case ${scope}::text when 'person' then user_id when 'agent' then agent_id when 'thread' then thread_id end)
    ), live as (
      select coalesce(sum(reserved_tokens), 0) as month_reserved, coalesce(sum(reserved_cost_micros), 0) as month_cost_reserved,
        coalesce(sum(reserved_tokens) filter (where reserved_at >= minute), 0) as minute_reserved,
        coalesce(sum(reserved_tokens) filter (where reserved_at >= minute - interval '1 minute' and reserved_at < minute), 0) as before_reserved
      from turns, moment
      where org_id = ${orgId} and state in ('queued', 'running') and reserved_at >= month
        and (${scope} = 'organization' or (${scope} = 'key' and asked_key in (select key_heirs(${orgId}, ${scopeId})))
          or ${scopeId} = case ${scope}::text when 'person' then asked_by when 'agent' then agent_id when 'thread' then thread_id end)
    )
    insert into limits (org_id, scope, scope_id, minute_at, minute_tokens, minute_reserved, before_tokens, before_reserved,
      month_at, month_tokens, month_reserved, month_cost, month_cost_reserved)
    select ${orgId}, ${scope}, ${scopeId}, minute, minute_tokens, minute_reserved, before_tokens, before_reserved,
      month, month_tokens, month_reserved, month_cost, month_cost_reserved
    from moment, spent, live
    on conflict (org_id, scope, scope_id) do nothing`;
}
