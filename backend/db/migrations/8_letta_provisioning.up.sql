-- Provisioning an organization in Letta takes several calls. A lease, in the database's time, lets one process at a time do it without
-- holding a connection meanwhile; from the second attempt on, what an earlier one left behind is looked for before anything is made.
alter table letta_tenants
  add column attempt       int not null default 0,
  add column lease_until   timestamptz,
  add column reconciled_at timestamptz;

-- Archival memory belongs to the agent as its blocks do.
alter table agents add column letta_archive_id text;

-- Intents that were not finished, and organizations in the order in which they were last compared with Letta: what the reconciler
-- reads over all organizations. It then works inside each one's own transaction.
create policy dispatch_unfinished on agent_versions for select to graphyn_dispatch using (state <> 'ready');
grant select (org_id, id, state, created_at) on agent_versions to graphyn_dispatch;
create policy dispatch_reconcile on letta_tenants for select to graphyn_dispatch using (ready_at is not null);
grant select (org_id, ready_at, reconciled_at) on letta_tenants to graphyn_dispatch;
create index agent_versions_unfinished on agent_versions (org_id, created_at) where state <> 'ready';
