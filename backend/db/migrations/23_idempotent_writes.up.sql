-- Every write can be repeated by its key. An answer that speaks of a thread goes with the thread; that there was one is kept, so that its
-- repetition makes no second thread.
alter table idempotency_keys
  add column thread_id text,
  add column erased_at timestamptz;
create index idempotency_keys_thread on idempotency_keys (org_id, thread_id) where thread_id is not null;

-- The owner of a table is bound by forced row-level security as everybody is, so it is lifted for this one statement; the table is locked.
alter table idempotency_keys no force row level security;
update idempotency_keys set thread_id = response #>> '{message,thread_id}';
alter table idempotency_keys force row level security;
