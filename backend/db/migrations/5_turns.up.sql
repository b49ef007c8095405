-- One agent's hearing of one thread: its Letta conversation, and up to which entry of the log it has heard.
create table agent_conversations (
  org_id                text not null,
  thread_id             text not null,
  agent_version_id      text not null,
  letta_conversation_id text not null,
  heard_seq             bigint not null default 0,
  created_at            timestamptz not null default now(),
  primary key (org_id, thread_id, agent_version_id),
  foreign key (org_id, thread_id) references threads on delete cascade,
  foreign key (org_id, agent_version_id) references agent_versions on delete cascade
);
call tenant_table('agent_conversations');

-- One agent answering one message. The lease says which process works on it; it is kept in the database's time.
create table turns (
  org_id            text not null,
  id                text not null,
  thread_id         text not null,
  agent_id          text not null,
  agent_version_id  text not null,
  message_seq       bigint not null,
  state             text not null default 'queued' check (state in ('queued', 'running', 'completed', 'failed', 'cancelled')),
  attempt           int not null default 0,
  lease_owner       text,
  lease_until       timestamptz not null,
  cancel_requested_at timestamptz,
  letta_run_id      text,
  queued_at         timestamptz not null default now(),
  started_at        timestamptz,
  ended_at          timestamptz,
  first_token_ms    int,
  prompt_tokens     int,
  completion_tokens int,
  error_reason      text,
  error_message     text,
  answer_seq        bigint,
  primary key (org_id, id),
  foreign key (org_id, thread_id, message_seq) references messages on delete cascade,
  foreign key (org_id, agent_version_id) references agent_versions,
  check ((state in ('completed', 'failed', 'cancelled')) = (ended_at is not null))
) with (fillfactor = 80);
create index turns_of_thread on turns (org_id, thread_id, id);
-- An agent answers one message of a thread at a time: Letta interleaves two messages sent to one conversation at once.
create unique index turns_running on turns (org_id, thread_id, agent_id) where state = 'running';
create index turns_live on turns (org_id, lease_until) where state in ('queued', 'running');
call tenant_table('turns');
create policy dispatch_find on turns for select to graphyn_dispatch using (state in ('queued', 'running'));
create policy dispatch_prolong on turns for update to graphyn_dispatch
  using (state in ('queued', 'running')) with check (state in ('queued', 'running'));
grant select (org_id, id, thread_id, agent_id, state, attempt, lease_owner, lease_until, cancel_requested_at) on turns to graphyn_dispatch;
grant update (lease_until) on turns to graphyn_dispatch;

-- The text of running turns, flushed for all of a process in one statement. The foreign key holds each piece to its own
-- organization, because the writing role is not bound to one. Gone once the turn has ended: the message holds the text.
create table turn_deltas (
  org_id       text not null,
  turn_id      text not null,
  start_offset int not null,
  content      text not null,
  primary key (org_id, turn_id, start_offset),
  foreign key (org_id, turn_id) references turns on delete cascade
);
call tenant_table('turn_deltas');
create policy flush on turn_deltas for insert to graphyn_flush with check (true);
grant insert on turn_deltas to graphyn_flush;

-- What learning starts from: written in the transaction that ends the turn.
create table interaction_captures (
  org_id            text not null,
  id                text not null,
  thread_id         text not null,
  turn_id           text not null,
  agent_id          text not null,
  agent_version_id  text not null,
  user_input        text not null,
  agent_output      text not null,
  first_token_ms    int,
  duration_ms       int not null,
  prompt_tokens     int,
  completion_tokens int,
  created_at        timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id, turn_id),
  foreign key (org_id, turn_id) references turns on delete cascade
);
create index interaction_captures_agent on interaction_captures (org_id, agent_id, created_at);
call tenant_table('interaction_captures');
