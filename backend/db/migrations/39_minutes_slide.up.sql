-- What was taken in the minute before the one that is counted: a limit a minute holds for any sixty seconds, not only for the clock's.
alter table limits
  add column before_tokens bigint not null default 0,
  add column before_reserved bigint not null default 0,
  add column before_requests bigint not null default 0;

create or replace function count_usage() returns trigger language plpgsql as $$
declare
  minute timestamptz := date_trunc('minute', new.asked_at, 'UTC');
  month timestamptz := date_trunc('month', new.asked_at, 'UTC');
  next_minute timestamptz := date_trunc('minute', new.asked_at, 'UTC') + interval '1 minute';
  tokens bigint := new.prompt_tokens + new.completion_tokens;
  cost bigint := coalesce(new.cost_micros, 0);
begin
  perform from limits where org_id = new.org_id and scope = 'organization' and scope_id = new.org_id for no key update;
  if not found then
    perform pg_advisory_xact_lock_shared(limits_lock(new.org_id));
    perform from limits where org_id = new.org_id and scope = 'organization' and scope_id = new.org_id for no key update;
    if not found then return null; end if;
  end if;
  update limits set
    before_tokens = case
      when minute > minute_at then case when minute = minute_at + interval '1 minute' then minute_tokens else 0 end
      when next_minute = minute_at then before_tokens + tokens else before_tokens end,
    before_reserved = case
      when minute > minute_at then case when minute = minute_at + interval '1 minute' then minute_reserved else 0 end
      when next_minute = minute_at then greatest(0, before_reserved - new.reserved_tokens) else before_reserved end,
    before_requests = case
      when minute > minute_at then case when minute = minute_at + interval '1 minute' then minute_requests else 0 end
      else before_requests end,
    minute_tokens = case when minute > minute_at then tokens when minute = minute_at then minute_tokens + tokens else minute_tokens end,
    minute_reserved = case when minute > minute_at then 0 when minute = minute_at then greatest(0, minute_reserved - new.reserved_tokens)
      else minute_reserved end,
    minute_requests = case when minute > minute_at then 0 else minute_requests end,
    minute_at = greatest(minute_at, minute),
    month_tokens = case when month > month_at then tokens when month = month_at then month_tokens + tokens else month_tokens end,
    month_reserved = case when month > month_at then 0 when month = month_at then greatest(0, month_reserved - new.reserved_tokens)
      else month_reserved end,
    month_cost = case when month > month_at then cost when month = month_at then month_cost + cost else month_cost end,
    month_cost_reserved = case when month > month_at then 0
      when month = month_at then greatest(0, month_cost_reserved - new.reserved_cost_micros) else month_cost_reserved end,
    month_at = greatest(month_at, month)
  where org_id = new.org_id and (scope, scope_id) in (
    values ('organization', new.org_id), ('person', new.user_id), ('agent', new.agent_id), ('thread', new.thread_id)
    union all select 'key', k from key_line(new.org_id, new.key_id) k);
  return null;
end $$;
