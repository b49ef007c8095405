-- What was asked of language models, for usage and for watching them: one row a request to an upstream. No text.
create table model_calls (
  org_id            text not null references organizations on delete cascade,
  id                text not null,
  purpose           text not null check (purpose in ('turn', 'letta', 'guess')),
  turn_id           text,
  model             text not null,
  prompt_tokens     int,
  completion_tokens int,
  duration_ms       int not null,
  created_at        timestamptz not null default now(),
  primary key (org_id, id)
);
create index model_calls_when on model_calls (org_id, created_at);
call tenant_table('model_calls');

-- The gateway finds the organization of a Letta user, once a process and organization.
grant select (letta_user_id) on letta_tenants to graphyn_dispatch;
