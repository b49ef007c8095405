-- A search costs the same in an organization and a thread of any size. The thread's id is a word of the document too, as the organization's is:
-- a search in one thread so reads what the index has of the thread, not every message of the organization with that word. The generated
-- column is made anew, which rewrites the table once.
drop index messages_search;
alter table messages drop column search;
alter table messages add column search tsvector
  generated always as (array_to_tsvector(array[org_id, thread_id]) || to_tsvector('simple', content)) stored;
create index messages_search on messages using gin (search);
grant select (org_id, thread_id, seq, id, sender_type, search) on messages to graphyn_search;
grant select (search) on messages to graphyn_guest_reach;

grant graphyn_search to current_user with inherit false, set true;
grant create on schema public to graphyn_search;
drop function search_words(tsquery, text, int);
-- The best matches among the messages of the transaction's organization, best first; of one thread when it is given. A word that stands in
-- more than 1000 messages is looked for in so many of the index's matches and in the newest messages, so many again: to rank
-- all would read all.
create function search_words(words tsquery, thread text, candidates int) returns table (id text, rank bigint)
  language sql stable rows 60 security definer set search_path = pg_catalog, public, pg_temp
as $$
  with matches as materialized (
    select m.id, m.search from messages m
    where m.search @@ case when thread is null then quote_literal(current_org())::tsquery && words
        else quote_literal(current_org())::tsquery && quote_literal(thread)::tsquery && words end
      and numnode(words) > 0 and m.org_id = current_org() and (thread is null or m.thread_id = thread) and m.sender_type <> 'system'
    limit 1000
  ), newest as (
    select n.id, n.search from (
      select m.id, m.search, m.sender_type from messages m
      where thread is null and m.org_id = current_org() order by m.id desc limit 1000) n
    where n.search @@ words and n.sender_type <> 'system' and (select count(*) from matches) = 1000
    union all
    select n.id, n.search from (
      select m.id, m.search, m.sender_type from messages m
      where m.org_id = current_org() and m.thread_id = thread order by m.seq desc limit 1000) n
    where n.search @@ words and n.sender_type <> 'system' and (select count(*) from matches) = 1000
  )
  select f.id, row_number() over (order by ts_rank_cd(f.search, words) desc, f.id desc) as rank
  from (select * from matches union select * from newest) f
  order by rank limit candidates
$$;
revoke all on function search_words from public;
grant execute on function search_words to graphyn_tenant;
alter function search_words owner to graphyn_search;
revoke create on schema public from graphyn_search;
revoke graphyn_search from current_user;
alter function search_words_seen rows 60;

-- A vector of 1536 fits into a page, and one that lies in its row is read eight times as fast as one that is kept apart, as vectors are unless
-- told otherwise. Rows of before stay as they are until they are written anew.
alter table message_embeddings alter column embedding set storage plain;

-- The organizations that are to be compared with Letta next, over all of them: read once a minute by every process. It is read
-- by time and so cannot begin with org_id.
create index letta_tenants_due on letta_tenants (reconciled_at nulls first) where ready_at is not null;
