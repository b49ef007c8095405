-- What a new message does while an agent of the thread is answering. A message may say otherwise for itself.
alter table threads add column when_busy text not null default 'enqueue'
  check (when_busy in ('enqueue', 'interrupt', 'reject', 'steer'));

alter table turns
  -- Who asked for its end, and for what.
  add column cancelled_by text,
  add column cancel_reason text check (cancel_reason in ('asked', 'interrupted', 'archived')),
  -- The running turn that its message is to join at that turn's next step, and when it has. Should it not come to that, or should that turn
  -- fail, it is answered by this one as by any other.
  add column steers_turn_id text,
  add column joined_at timestamptz,
  add foreign key (org_id, steers_turn_id) references turns on delete set null (steers_turn_id),
  add check (joined_at is null or steers_turn_id is not null);
create index turns_steering on turns (org_id, steers_turn_id) where steers_turn_id is not null;
-- Which messages an agent heard in the middle of another answer.
create index turns_joined on turns (org_id, thread_id, message_seq) where joined_at is not null;
