-- last_seq is the newest entry of the thread's log; the row's lock orders all writers of the thread. No index holds a column
-- that a message changes, so that appending stays a heap-only update.
create table threads (
  org_id            text not null references organizations on delete cascade,
  id                text not null,
  title             text,
  type              text not null default 'conversation',
  state             text not null default 'active' check (state in ('active', 'archived')),
  last_seq          bigint not null default 0,
  prompt_tokens     bigint not null default 0,
  completion_tokens bigint not null default 0,
  created_by        text not null,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, created_by) references users
) with (fillfactor = 80);
call tenant_table('threads');

create table participants (
  org_id     text not null,
  thread_id  text not null,
  id         text not null,
  kind       text not null check (kind in ('user', 'agent')),
  user_id    text,
  agent_id   text,
  name       text not null,
  joined_at  timestamptz not null default now(),
  left_at    timestamptz,
  primary key (org_id, thread_id, id),
  foreign key (org_id, thread_id) references threads on delete cascade,
  foreign key (org_id, user_id) references users,
  foreign key (org_id, agent_id) references agents,
  check ((kind = 'user') = (user_id is not null)),
  check ((kind = 'agent') = (agent_id is not null))
);
create unique index participants_user on participants (org_id, thread_id, user_id) where left_at is null and kind = 'user';
create unique index participants_agent on participants (org_id, thread_id, agent_id) where left_at is null and kind = 'agent';
call tenant_table('participants');

-- A thread is this log: gapless seq from 1, in commit order. Content lives with its noun; `data` is what a reader needs besides.
create table thread_log (
  org_id     text not null,
  thread_id  text not null,
  seq        bigint not null,
  kind       text not null check (kind in ('message', 'participant', 'turn_started', 'turn_completed', 'turn_cancelled', 'agent_error')),
  data       jsonb not null default '{}',
  created_at timestamptz not null default now(),
  primary key (org_id, thread_id, seq),
  foreign key (org_id, thread_id) references threads on delete cascade
);
call tenant_table('thread_log');

-- Full text is kept in the `simple` configuration: people write in many languages, and the vectors carry the inflections.
-- The organization's id is a word of every document: a GIN index cannot lead with a plain column (btree_gin is not everywhere), so a
-- search asks for `org id & words` and the index itself leaves the others out.
create table messages (
  org_id      text not null,
  thread_id   text not null,
  seq         bigint not null,
  id          text not null,
  sender_type text not null check (sender_type in ('user', 'agent', 'system')),
  sender_id   text not null,
  sender_name text not null,
  content     text not null,
  status      text not null default 'complete' check (status in ('complete', 'cancelled', 'failed')),
  turn_id     text,
  created_at  timestamptz not null default now(),
  search      tsvector generated always as (array_to_tsvector(array[org_id]) || to_tsvector('simple', content)) stored,
  primary key (org_id, thread_id, seq),
  unique (org_id, id),
  foreign key (org_id, thread_id, seq) references thread_log on delete cascade
);
create index messages_search on messages using gin (search);
call tenant_table('messages');

-- Apart from the message, because it is written later: the row of a message is never rewritten. HNSW cannot lead with org_id, so a
-- search scans it iteratively (pgvector 0.8) until enough rows of the organization are found; small organizations are read exactly.
create table message_embeddings (
  org_id     text not null,
  message_id text not null,
  embedding  vector(1536) not null,
  created_at timestamptz not null default now(),
  primary key (org_id, message_id),
  foreign key (org_id, message_id) references messages (org_id, id) on delete cascade
);
create index message_embeddings_hnsw on message_embeddings using hnsw (embedding vector_cosine_ops);
call tenant_table('message_embeddings');
