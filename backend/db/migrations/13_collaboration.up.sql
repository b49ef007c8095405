-- Kinds of the log are listed once, in lib/events.ts (LogEvent): here a kind is only held to the form of a name, so that two changes that
-- each add one cannot take the other's away.
alter table thread_log drop constraint thread_log_kind_check;
alter table thread_log add constraint thread_log_kind_form check (kind ~ '^[a-z]{1,20}(_[a-z]{1,20}){0,3}$');

-- Who is connected to a thread, one row a tab. Truth for all processes; unlogged, because every row ends by itself: a process keeps those of
-- its connections alive, and after a crash they are written anew within seconds.
create unlogged table presence (
  org_id        text not null,
  thread_id     text not null,
  user_id       text not null,
  -- The client's own name for one of its windows.
  tab           text not null,
  -- The connection that holds the tab now: an older one must not end its newer.
  connection_id text not null,
  since         timestamptz not null default now(),
  typing_until  timestamptz,
  expires_at    timestamptz not null,
  primary key (org_id, thread_id, user_id, tab),
  foreign key (org_id, thread_id) references threads on delete cascade,
  foreign key (org_id, user_id) references members on delete cascade
) with (fillfactor = 50);
call tenant_table('presence');

-- How far a person has read a thread. Only ever forward.
create table read_positions (
  org_id     text not null,
  thread_id  text not null,
  user_id    text not null,
  seq        bigint not null,
  updated_at timestamptz not null default now(),
  primary key (org_id, thread_id, user_id),
  foreign key (org_id, thread_id) references threads on delete cascade,
  foreign key (org_id, user_id) references users on delete cascade
) with (fillfactor = 80);
call tenant_table('read_positions');

-- What stands under a message now. Each change is an entry of the thread's log too, written with it.
create table reactions (
  org_id     text not null,
  message_id text not null,
  user_id    text not null,
  emoji      text not null,
  created_at timestamptz not null default now(),
  primary key (org_id, message_id, user_id, emoji),
  foreign key (org_id, message_id) references messages (org_id, id) on delete cascade,
  foreign key (org_id, user_id) references users on delete cascade
);
call tenant_table('reactions');
