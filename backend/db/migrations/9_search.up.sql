-- The full-text index under row-level security. PostgreSQL evaluates a policy before any operator that is not leakproof, and `@@` is not:
-- so the tenant role can never use messages_search, and a search reads every message of the organization (88 ms at 100 000 messages,
-- where the index takes 1 ms). This function reads the index with the rights of a role that can do nothing else, and takes
-- the organization from the transaction, as enqueue_job does. It gives ids; the messages themselves are read by the tenant role.
-- HNSW needs no such help: ordering by `<=>` is not a condition, and the policy filters what the index yields.
do $$
begin
  if not exists (select from pg_roles where rolname = 'graphyn_search') then
    begin
      create role graphyn_search nologin;
    exception when duplicate_object then
      null; -- another database of this server was migrated at the same moment
    end;
  end if;
  execute format('grant graphyn_search to current_user with inherit false, set true');
end $$;
grant usage on schema public to graphyn_search;
-- Constant, so that it is no condition to be evaluated first.
create policy search_words on messages for select to graphyn_search using (true);
grant select (org_id, thread_id, id, sender_type, search) on messages to graphyn_search;

-- The best matches among the messages of the transaction's organization, best first; of one thread when it is given.
create function search_words(words tsquery, thread text, candidates int) returns table (id text, rank bigint)
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select m.id, row_number() over (order by ts_rank_cd(m.search, words) desc, m.id desc) as rank
  from messages m
  where m.search @@ (quote_literal(current_org())::tsquery && words) and m.org_id = current_org()
    and m.sender_type <> 'system' and (thread is null or m.thread_id = thread)
  order by rank limit candidates
$$;
revoke all on function search_words from public;
grant execute on function search_words to graphyn_tenant;
grant create on schema public to graphyn_search; -- a function's owner must be able to make one
alter function search_words owner to graphyn_search;
revoke create on schema public from graphyn_search;
revoke graphyn_search from current_user; -- nothing but the function acts as this role
