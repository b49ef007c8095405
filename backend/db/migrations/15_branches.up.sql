-- A thread stays one log. Which of its messages make up the conversation is said by a branch: a set of places in the log. Leaving a branch
-- closes its set, entering one opens a new end, so that a switch writes one row however long the thread is, and no message is ever rewritten.
alter table threads
  add column branch int not null default 1,
  -- Where a fork or a split began: the thread, and the last entry of it that counts.
  add column parent_id text,
  add column parent_seq bigint,
  add foreign key (org_id, parent_id) references threads on delete set null (parent_id);
create index threads_children on threads (org_id, parent_id, id) where parent_id is not null;

-- Every thread begins on branch 1, which has no row until it is left: without one, a branch has the whole log.
create table thread_branches (
  org_id        text not null,
  thread_id     text not null,
  branch        int not null check (branch > 0),
  -- The seqs of the log that belong to it, without an upper end while the thread is on it.
  visible       int8multirange not null,
  -- The branch it was begun from, and why; both null for the first.
  parent_branch int,
  action        text check (action in ('rewind', 'edit', 'regenerate', 'split')),
  created_by    text not null,
  created_at    timestamptz not null default now(),
  primary key (org_id, thread_id, branch),
  foreign key (org_id, thread_id) references threads on delete cascade,
  foreign key (org_id, created_by) references users
);
call tenant_table('thread_branches');

-- The places of a branch as spans from `lo` to `hi`, in order: what a query joins with, so that it reads no message that does not belong.
create function branch_spans(org text, thread text, number int) returns table (lo bigint, hi bigint)
  language sql stable
as $$
  select coalesce(lower(span), 1), coalesce(upper(span) - 1, 9007199254740991)
  from public.thread_branches b, unnest(b.visible) span
  where b.org_id = org and b.thread_id = thread and b.branch = number
  union all
  select 1, 9007199254740991
  where not exists (
    select from public.thread_branches b where b.org_id = org and b.thread_id = thread and b.branch = number)
$$;

-- The branch that a message was said in, and, for a copy, the message it was copied from. No foreign key: an origin that was erased leaves
-- an id that nobody can read anything by.
alter table messages
  add column branch int not null default 1,
  add column origin jsonb;

-- An agent hears each branch in a Letta conversation of its own, because Letta cannot unhear: who goes back to a branch finds there what was
-- remembered of it. A turn belongs to the branch it was asked in, whatever the thread does meanwhile.
alter table agent_conversations
  add column branch int not null default 1,
  drop constraint agent_conversations_pkey,
  add primary key (org_id, thread_id, agent_version_id, branch);
alter table turns add column branch int not null default 1;
