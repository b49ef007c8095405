-- The request to erase a person or an organization, how far it has come, and at the end its receipt. No foreign key: it outlives the
-- organization, and holds ids and figures only.
create table erasures (
  org_id       text not null,
  id           text not null,
  -- Null: the whole organization.
  person_id    text,
  state        text not null default 'running' check (state in ('running', 'done')),
  step         text not null,
  -- Rows and things removed so far, by kind.
  counts       jsonb not null default '{}',
  -- Ids of what the step has done already, where it does many things.
  done         text[] not null default '{}',
  requested_by text not null,
  -- Of the token that opens the receipt when nobody of the organization is left.
  token_hash   bytea not null,
  lease_owner  text,
  lease_until  timestamptz not null default now(),
  attempt      int not null default 0,
  requested_at timestamptz not null default now(),
  ended_at     timestamptz,
  receipt      text,
  signature    text,
  primary key (org_id, id),
  check ((state = 'done') = (receipt is not null))
);
create unique index erasures_running on erasures (org_id, (coalesce(person_id, ''))) where state = 'running';
call tenant_table('erasures');
create policy dispatch_running on erasures for select to graphyn_dispatch using (state = 'running');
grant select (org_id, id, state, lease_until) on erasures to graphyn_dispatch;

-- What is left of an erased person is an id that nothing says whose it was.
alter table users add column erased_at timestamptz;
-- The entry stays, with its place and without its text.
alter table messages drop constraint messages_status_check;
alter table messages add constraint messages_status_check check (status in ('complete', 'cancelled', 'failed', 'erased'));
-- Since when an agent knows nothing of what it had learned: it heard somebody who was erased, and is to learn anew from what is left.
alter table agents add column relearn_at timestamptz;

-- The audit log of an organization goes with it, and in no other way.
do $$ begin execute format('grant graphyn_audit to current_user with inherit false, set true'); end $$;
create policy ends on audit_entries for delete to graphyn_audit using (org_id = (select current_org()));
create policy reads on audit_entries for select to graphyn_audit using (org_id = (select current_org()));
create policy asks on erasures for select to graphyn_audit using (org_id = (select current_org()));
grant select, delete on audit_entries to graphyn_audit;
grant delete on audit_heads to graphyn_audit;
grant select on erasures to graphyn_audit;
create or replace function audit_is_appended() returns trigger
  language plpgsql
as $$
begin
  if tg_op = 'DELETE' and current_user = 'graphyn_audit' then
    return old;
  end if;
  raise exception 'the audit log is appended to and never changed';
end $$;
create function erase_audit() returns bigint
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  gone bigint;
begin
  if not exists (
    select from erasures where org_id = current_org() and person_id is null and state = 'running' and step = 'database') then
    raise exception 'the audit log is erased with its organization only';
  end if;
  delete from audit_entries where org_id = current_org();
  get diagnostics gone = row_count;
  delete from audit_heads where org_id = current_org();
  return gone;
end $$;
revoke all on function erase_audit from public;
grant execute on function erase_audit to graphyn_tenant;
grant create on schema public to graphyn_audit;
alter function erase_audit owner to graphyn_audit;
revoke create on schema public from graphyn_audit;
revoke graphyn_audit from current_user;
