-- What an organization has in Letta: its own Letta organization and user (the wall that Letta enforces) and the identity
-- org_<id> (what the product promises). One row an organization is the lock under which all three are made.
create table letta_tenants (
  org_id        text primary key references organizations on delete cascade,
  letta_org_id  text,
  letta_user_id text,
  identity_id   text,
  ready_at      timestamptz,
  created_at    timestamptz not null default now()
);
call tenant_table('letta_tenants');

create table agents (
  org_id          text not null references organizations on delete cascade,
  id              text not null,
  name            text not null,
  -- Letta's ids of the memory blocks, made once an agent and attached to every version's Letta agent.
  letta_block_ids text[] not null default '{}',
  current_version_id text,
  created_by      text not null,
  created_at      timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, created_by) references users
);
call tenant_table('agents');

-- One Letta agent a version. `creating` is the intent written before Letta is asked; only `ready` rows can be used.
create table agent_versions (
  org_id        text not null,
  id            text not null,
  agent_id      text not null,
  version       text not null,
  state         text not null check (state in ('creating', 'ready', 'failed')),
  letta_id      text,
  name          text not null,
  system_prompt text not null,
  tools         text[] not null default '{}',
  model         text not null,
  created_by    text not null,
  created_at    timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, agent_id, version),
  unique (org_id, letta_id),
  foreign key (org_id, agent_id) references agents on delete cascade,
  foreign key (org_id, created_by) references users,
  check (state <> 'ready' or letta_id is not null)
);
call tenant_table('agent_versions');

alter table agents
  add foreign key (org_id, current_version_id) references agent_versions (org_id, id) deferrable initially deferred;
