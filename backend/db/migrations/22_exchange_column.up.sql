-- The place of the person's message that a turn's exchange began with, as a column: under row-level security an index over `coalesce(…)` is
-- not used, because PostgreSQL does not know that coalesce tells nothing of the rows it sees.
drop index turns_of_exchange;
alter table turns add column exchange bigint generated always as (coalesce(exchange_seq, message_seq)) stored;
create index turns_of_exchange on turns (org_id, thread_id, exchange);
