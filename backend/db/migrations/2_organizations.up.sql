create table organizations (
  org_id     text primary key,
  name       text not null,
  created_at timestamptz not null default now()
);
call tenant_table('organizations');

-- A person as one organization knows them. The same human in two organizations has two rows: nothing is shared.
create table users (
  org_id      text not null references organizations on delete cascade,
  id          text not null,
  name        text not null,
  email       text,
  external_id text,
  created_at  timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, external_id)
);
call tenant_table('users');

create table members (
  org_id     text not null,
  user_id    text not null,
  role       text not null check (role in ('owner', 'admin', 'member', 'guest')),
  created_at timestamptz not null default now(),
  primary key (org_id, user_id),
  foreign key (org_id, user_id) references users on delete cascade
);
call tenant_table('members');

-- A key is stored as a keyed hash only. It names its organization in clear (see organizations/key-format.ts), so that looking it
-- up needs no right to see several organizations.
create table api_keys (
  org_id     text not null,
  id         text not null,
  user_id    text not null,
  name       text not null,
  hash       bytea not null,
  last_four  text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  last_used_at timestamptz,
  primary key (org_id, id),
  unique (org_id, hash),
  foreign key (org_id, user_id) references members on delete cascade
);
call tenant_table('api_keys');
