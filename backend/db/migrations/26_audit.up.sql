-- What was changed, by whom: one chain an organization. Each entry carries the hash of the one before and its own, an HMAC under a key that
-- the database does not have (audit/entry.ts). So whoever can write here can break a chain, but cannot make one that holds.
create table audit_entries (
  org_id      text not null references organizations, -- without cascade: no organization goes and takes its log along unseen
  seq         bigint not null check (seq > 0),
  at          timestamptz not null,
  actor_kind  text not null check (actor_kind in ('user', 'key', 'operator', 'system', 'support')),
  actor_id    text not null,
  -- The person for whom a key acts.
  actor_user  text,
  action      text not null check (action ~ '^[a-z_]{1,30}\.[a-z_]{1,30}$'),
  target_type text not null,
  target_id   text not null,
  -- Canonical JSON, as text: the hash is over these very bytes. Ids, numbers and words of ours; no secret and nothing that a person wrote.
  change      text not null,
  prev_hash   text not null,
  hash        text not null,
  key_id      text not null,
  primary key (org_id, seq)
);
create index audit_entries_action on audit_entries (org_id, action, seq);
create index audit_entries_actor on audit_entries (org_id, actor_id, seq);
create index audit_entries_actor_user on audit_entries (org_id, actor_user, seq);
create index audit_entries_target on audit_entries (org_id, target_id, seq);
create index audit_entries_at on audit_entries (org_id, at);
call tenant_table('audit_entries');

-- The newest entry of each chain, signed: without it, entries cut off at the end would not be missed. The signature of an older head is
-- nowhere in the database.
create table audit_heads (
  org_id text primary key references organizations,
  seq    bigint not null default 0,
  hash   text not null default '',
  key_id text not null default '',
  seal   text not null default ''
);
call tenant_table('audit_heads');

-- A tenant reads the log. It is written by the two functions below, and changed by nobody.
revoke insert, update, delete on audit_entries, audit_heads from graphyn_tenant;

do $$
begin
  if not exists (select from pg_roles where rolname = 'graphyn_audit') then
    begin
      create role graphyn_audit nologin;
    exception when duplicate_object then
      null; -- another database of this server was migrated at the same moment
    end;
  end if;
  execute format('grant graphyn_audit to current_user with inherit false, set true');
end $$;
grant usage on schema public to graphyn_audit;
create policy append on audit_entries for insert to graphyn_audit with check (org_id = (select current_org()));
create policy advance on audit_heads to graphyn_audit
  using (org_id = (select current_org())) with check (org_id = (select current_org()));
grant insert on audit_entries to graphyn_audit;
grant select, insert, update on audit_heads to graphyn_audit;

-- Locks the end of the transaction's organization's chain until its end. seq 0: nothing stands in it yet. The time is taken under the
-- lock, so that times follow the order of entries.
create function lock_audit_head(out seq bigint, out hash text, out at timestamptz)
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  select h.seq, h.hash into seq, hash from audit_heads h where h.org_id = current_org() for update;
  if not found then
    insert into audit_heads (org_id) values (current_org()) on conflict do nothing;
    select h.seq, h.hash into seq, hash from audit_heads h where h.org_id = current_org() for update;
  end if;
  at := date_trunc('milliseconds', clock_timestamp());
end $$;

-- Appends to the chain of the transaction's organization what follows its end, and nothing else.
create function append_audit(
  seq bigint, at timestamptz, actor_kind text, actor_id text, actor_user text, action text, target_type text, target_id text, change text,
  prev_hash text, hash text, key_id text, seal text
) returns void
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  update audit_heads h
  set seq = append_audit.seq, hash = append_audit.hash, key_id = append_audit.key_id, seal = append_audit.seal
  where h.org_id = current_org() and h.seq = append_audit.seq - 1 and h.hash = append_audit.prev_hash;
  if not found then
    raise exception 'an audit entry must follow the end of its chain: lock_audit_head() first';
  end if;
  insert into audit_entries values (
    current_org(), seq, at, actor_kind, actor_id, actor_user, action, target_type, target_id, change, prev_hash, hash, key_id);
end $$;
revoke all on function lock_audit_head, append_audit from public;
grant execute on function lock_audit_head, append_audit to graphyn_tenant;

-- Also whoever owns the tables changes no entry by mistake.
create function audit_is_appended() returns trigger
  language plpgsql
as $$
begin
  raise exception 'the audit log is appended to and never changed';
end $$;
create trigger append_only before update or delete on audit_entries for each row execute function audit_is_appended();
create trigger never_emptied before truncate on audit_entries for each statement execute function audit_is_appended();

grant create on schema public to graphyn_audit; -- a function's owner must be able to make one
alter function lock_audit_head owner to graphyn_audit;
alter function append_audit owner to graphyn_audit;
revoke create on schema public from graphyn_audit;
revoke graphyn_audit from current_user; -- nothing but the functions acts as this role
