-- Roles. The login role of the application sees no tenant's row by itself: every table forces row-level security, and a
-- transaction gains access only by `set local role` to one of these, each of which can do one thing.
--   graphyn_tenant    one organization's rows, named by the setting graphyn.org_id
--   graphyn_dispatch  finds turns whose lease has run out and prolongs leases, over all organizations; reads no text
--   graphyn_flush     appends the text of running turns, over all organizations; reads nothing
-- Roles belong to the whole server, so they may exist already (another database of the same server).
-- Needs a superuser where the extension is not marked as trusted; then whoever makes the database creates it beforehand.
create extension if not exists vector;

do $$
declare
  role_name text;
begin
  foreach role_name in array array['graphyn_tenant', 'graphyn_dispatch', 'graphyn_flush'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      begin
        execute format('create role %I nologin', role_name);
      exception when duplicate_object then
        null; -- another database of this server was migrated at the same moment
      end;
    end if;
    -- INHERIT FALSE: the login role must not gain the policies of these roles without `set role`.
    execute format('grant %I to current_user with inherit false, set true', role_name);
    execute format('grant usage on schema public to %I', role_name);
  end loop;
end $$;

-- The organization of the current transaction, or null outside one. `stable`, and called as a scalar sub-select in
-- policies, so that it is evaluated once a statement and not once a row.
create function current_org() returns text
  language sql stable parallel safe
  return nullif(current_setting('graphyn.org_id', true), '');

-- Makes a table with an org_id a tenant's table: row-level security on, forced, one policy. Every migration that creates
-- such a table calls it; a test fails for a table that lacks it.
create procedure tenant_table(name regclass)
  language plpgsql as $$
begin
  execute format('alter table %s enable row level security', name);
  execute format('alter table %s force row level security', name);
  execute format(
    'create policy tenant on %s to graphyn_tenant using (org_id = (select current_org())) with check (org_id = (select current_org()))',
    name);
  execute format('grant select, insert, update, delete on %s to graphyn_tenant', name);
end $$;
