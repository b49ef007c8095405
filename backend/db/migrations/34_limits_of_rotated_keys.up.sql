-- A key that took another's place is held to the other's limits, together with it: else a key would be rid of them by rotating itself.
create index api_keys_replaced_by on api_keys (org_id, replaced_by) where replaced_by is not null;

-- A key and those in whose place it is.
create function key_line(org text, key text) returns setof text language sql stable as $$
  with recursive line as (
    select key as id where key is not null
    union
    select k.id from api_keys k join line l on k.org_id = org and k.replaced_by = l.id)
  select id from line
$$;

-- A key and those that took its place.
create function key_heirs(org text, key text) returns setof text language sql stable as $$
  with recursive heir as (
    select key as id
    union
    select k.replaced_by from api_keys k join heir h on k.org_id = org and k.id = h.id where k.replaced_by is not null)
  select id from heir
$$;

create or replace function count_usage() returns trigger language plpgsql as $$
declare
  minute timestamptz := date_trunc('minute', new.asked_at, 'UTC');
  month timestamptz := date_trunc('month', new.asked_at, 'UTC');
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
