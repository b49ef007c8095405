-- What a participant may do in the thread: backend/threads/roles.ts has the table. A host is a person.
alter table participants
  add column role text not null default 'speaker' check (role in ('host', 'speaker', 'listener')),
  add constraint participants_host_is_a_person check (kind = 'user' or role <> 'host');

-- Threads of before get their host: who began them, or who has been there longest. The owner of a table is bound by forced row-level
-- security as everybody is, so it is lifted for this one statement; nobody sees the tables meanwhile, they are locked until the commit.
alter table participants no force row level security;
alter table threads no force row level security;
update participants p set role = 'host'
from (
  select distinct on (p.org_id, p.thread_id) p.org_id, p.thread_id, p.id
  from participants p join threads t on (t.org_id, t.id) = (p.org_id, p.thread_id)
  where p.kind = 'user' and p.left_at is null
  order by p.org_id, p.thread_id, (p.user_id = t.created_by) desc, p.id
) host
where (p.org_id, p.thread_id, p.id) = (host.org_id, host.thread_id, host.id);
alter table participants force row level security;
alter table threads force row level security;

-- Who answers, and how far agents may go on among themselves. rotation_at is the participant to whom the rotation gave the word last.
alter table threads
  add column turn_policy text not null default 'all' check (turn_policy in ('all', 'mentioned', 'round_robin', 'coordinator')),
  add column coordinator_id text,
  add column rotation_at text,
  add column exchange_hops_max int not null default 8,
  add column exchange_turns_max int not null default 32,
  add column exchange_tokens_max bigint not null default 200000;

-- Ids of the people and agents that a message addresses; and why the system said it, for programs.
alter table messages
  add column mentions jsonb not null default '[]',
  add column reason text;

-- An exchange is everything that follows one person's message: exchange_seq is that message's place, null where it is the message
-- that the turn answers itself. hop counts how often the word went from agent to agent on the way here.
alter table turns
  add column exchange_seq bigint,
  add column hop int not null default 0;
create index turns_of_exchange on turns (org_id, thread_id, (coalesce(exchange_seq, message_seq)));

-- Exchanges that a limit has ended. The key says that the thread is told once.
create table exchange_ends (
  org_id       text not null,
  thread_id    text not null,
  exchange_seq bigint not null,
  reason       text not null check (reason in ('hop_limit', 'turn_limit', 'token_limit')),
  created_at   timestamptz not null default now(),
  primary key (org_id, thread_id, exchange_seq),
  foreign key (org_id, thread_id) references threads on delete cascade
);
call tenant_table('exchange_ends');
