-- Who asked for a turn, what was set aside for it, and what it came to.
alter table turns
  -- The person in whose name it was asked, and the API key (none in a session). Turns that agents ask of each other have those of the
  -- exchange's first message.
  add column asked_by text,
  add column asked_key text,
  -- What limits hold for it until it has ended, and in which minute and month it counts. Null: no limit held when it was asked.
  add column reserved_at timestamptz,
  add column reserved_tokens bigint not null default 0,
  add column reserved_cost_micros bigint not null default 0,
  add column model text,
  add column cached_tokens int,
  -- Millionths of a US dollar at the price of then; null where the price of any of its calls was not known.
  add column cost_micros bigint,
  add column price jsonb,
  -- Some of its tokens are not as the provider counted them.
  add column usage_estimated boolean not null default false,
  drop constraint turns_cancel_reason_check,
  add constraint turns_cancel_reason_check
    check (cancel_reason in ('asked', 'interrupted', 'archived', 'token_limit', 'rewound', 'budget_spent'));
alter table exchange_limits_told
  drop constraint exchange_ends_reason_check,
  add constraint exchange_limits_told_reason_check check (reason in ('hop_limit', 'turn_limit', 'token_limit', 'budget_spent'));

-- What an organization, one of its keys, people, agents or threads may spend, and what of it is spent or set aside: of the minute and the
-- month (UTC) that the columns name. One row is limit and counter, so it never has to be pruned. The organization's own row is there
-- whenever there is any; whoever changes a counter locks it first, so that no two wait for each other.
create table limits (
  org_id                text not null references organizations on delete cascade,
  scope                 text not null check (scope in ('organization', 'key', 'person', 'agent', 'thread')),
  scope_id              text not null,
  tokens_per_minute     bigint check (tokens_per_minute >= 0),
  tokens_per_month      bigint check (tokens_per_month >= 0),
  requests_per_minute   bigint check (requests_per_minute >= 0),
  cost_micros_per_month bigint check (cost_micros_per_month >= 0),
  minute_at             timestamptz not null default '-infinity',
  minute_tokens         bigint not null default 0,
  minute_reserved       bigint not null default 0,
  minute_requests       bigint not null default 0,
  month_at              timestamptz not null default '-infinity',
  month_tokens          bigint not null default 0,
  month_reserved        bigint not null default 0,
  month_cost            bigint not null default 0,
  month_cost_reserved   bigint not null default 0,
  set_by                text,
  set_at                timestamptz not null default now(),
  primary key (org_id, scope, scope_id)
) with (fillfactor = 50);
call tenant_table('limits');

-- The ledger: what was spent, one row for each turn that ended (its id) and each other call to a model (the call's id). Nothing refers to
-- it and it refers to nothing, so what was spent stays when a thread or an agent goes.
create table usage_entries (
  org_id                text not null references organizations on delete cascade,
  id                    text not null,
  purpose               text not null check (purpose in ('turn', 'letta', 'guess', 'embedding')),
  turn_id               text,
  thread_id             text,
  agent_id              text,
  user_id               text,
  key_id                text,
  model                 text,
  -- How a turn ended.
  outcome               text check (outcome in ('completed', 'failed', 'cancelled')),
  prompt_tokens         int not null default 0,
  cached_tokens         int,
  completion_tokens     int not null default 0,
  estimated             boolean not null default false,
  cost_micros           bigint,
  price                 jsonb,
  first_token_ms        int,
  reserved_tokens       bigint not null default 0,
  reserved_cost_micros  bigint not null default 0,
  -- The minute and month in which it counts against limits.
  asked_at              timestamptz not null default now(),
  created_at            timestamptz not null default now(),
  primary key (org_id, id)
);
create index usage_entries_when on usage_entries (org_id, created_at);
create index usage_entries_asked on usage_entries (org_id, asked_at);
call tenant_table('usage_entries');
-- Append-only. One thing may change: whose it was can be forgotten.
revoke update, delete on usage_entries from graphyn_tenant;
grant update (user_id, key_id) on usage_entries to graphyn_tenant;

create function only_forget_who() returns trigger language plpgsql as $$
begin
  if (new.user_id is not null and new.user_id is distinct from old.user_id) or (new.key_id is not null and new.key_id is distinct from old.key_id) then
    raise exception 'the ledger of usage forgets whose an entry was, and changes in nothing else';
  end if;
  return new;
end $$;
create trigger usage_entries_forget before update on usage_entries for each row execute function only_forget_who();

-- A turn is settled in the transaction that ends it, by whatever way, and because a turn ends once, once. At the commit and not before: so
-- that the counters, which all of an organization's turns share, are locked for that moment only.
create function settle_turn() returns trigger language plpgsql as $$
begin
  insert into usage_entries (org_id, id, purpose, turn_id, thread_id, agent_id, user_id, key_id, model, outcome, prompt_tokens, cached_tokens,
    completion_tokens, estimated, cost_micros, price, first_token_ms, reserved_tokens, reserved_cost_micros, asked_at)
  values (new.org_id, new.id, 'turn', new.id, new.thread_id, new.agent_id, new.asked_by, new.asked_key, new.model, new.state,
    coalesce(new.prompt_tokens, 0), new.cached_tokens, coalesce(new.completion_tokens, 0), new.usage_estimated, new.cost_micros, new.price,
    new.first_token_ms, new.reserved_tokens, new.reserved_cost_micros, coalesce(new.reserved_at, new.queued_at));
  return null;
end $$;
create constraint trigger turns_settle after update on turns deferrable initially deferred
  for each row when (old.ended_at is null and new.ended_at is not null) execute function settle_turn();

-- The organization's first limit is set under the exclusive form of this lock (usage/open-limits.ts), so that nothing spent at that moment
-- is missed by both.
create function limits_lock(org text) returns bigint language sql immutable parallel safe return hashtextextended('limits ' || org, 0);

create function count_usage() returns trigger language plpgsql as $$
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
    values ('organization', new.org_id), ('key', new.key_id), ('person', new.user_id), ('agent', new.agent_id), ('thread', new.thread_id));
  return null;
end $$;
create trigger usage_entries_count after insert on usage_entries for each row execute function count_usage();

-- What a thread is read with asks it of everybody's: whether there are limits, and not which; and what an agent's model is.
create policy guest on limits for select to graphyn_guest using (org_id = (select current_org()));
grant select (org_id) on limits to graphyn_guest;
grant select (model) on agent_versions to graphyn_guest;
