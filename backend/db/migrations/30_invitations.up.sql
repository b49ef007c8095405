-- Who is asked into a thread from outside the organization. The token is stored as a keyed hash only, is good once, and ends by itself.
create table thread_invitations (
  org_id      text not null,
  thread_id   text not null,
  id          text not null,
  hash        bytea not null,
  -- What whoever accepts becomes in the thread. A guest is no host.
  role        text not null check (role in ('speaker', 'listener')),
  created_by  text not null,
  created_at  timestamptz not null default now(),
  expires_at  timestamptz not null,
  accepted_at timestamptz,
  -- The guest that whoever accepted became.
  accepted_by text,
  revoked_at  timestamptz,
  primary key (org_id, thread_id, id),
  unique (org_id, hash),
  foreign key (org_id, thread_id) references threads on delete cascade,
  foreign key (org_id, created_by) references users,
  foreign key (org_id, accepted_by) references users,
  check ((accepted_at is null) = (accepted_by is null))
);
call tenant_table('thread_invitations');

-- The person of another organization that a guest is, as a keyed hash of their ids there: the same person is the same guest, and neither
-- organization can read the other's ids by it.
alter table users add column home bytea;
create unique index users_home on users (org_id, home) where home is not null;
