-- A guest of the organization sees the threads in which they take part, and nothing else. Not only our code says so: what a guest reads is
-- read by a role of its own, which has no right but these, and the database itself knows the guest's threads. A new table is closed to it
-- until a migration says what a guest sees of it.
--   graphyn_guest        reads, for one guest (graphyn.guest) of one organization (graphyn.org_id)
--   graphyn_guest_reach  looks up in which threads a guest takes part, and finds words in them, inside two functions; nobody can enter it
do $$
declare
  role_name text;
begin
  foreach role_name in array array['graphyn_guest', 'graphyn_guest_reach'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      begin
        execute format('create role %I nologin', role_name);
      exception when duplicate_object then
        null; -- another database of this server was migrated at the same moment
      end;
    end if;
    execute format('grant %I to current_user with inherit false, set true', role_name);
    execute format('grant usage on schema public to %I', role_name);
  end loop;
end $$;

-- The guest for whom the current transaction reads, or null.
create function current_guest() returns text
  language sql stable parallel safe
  return nullif(current_setting('graphyn.guest', true), '');

create policy guest_reach on participants for select to graphyn_guest_reach using (true);
grant select (org_id, thread_id, user_id, left_at) on participants to graphyn_guest_reach;
create policy guest_reach on messages for select to graphyn_guest_reach using (true);
grant select (org_id, thread_id, id, sender_type, search) on messages to graphyn_guest_reach;
create index participants_person on participants (org_id, user_id) where left_at is null and kind = 'user';

-- The threads of the transaction's guest. With rights of its own, because the policy of participants asks it too.
create function guest_threads() returns setof text
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select thread_id from participants
  where org_id = current_org() and user_id = current_guest() and left_at is null and kind = 'user'
$$;

-- As search_words, in the guest's threads.
create function search_words_of_guest(words tsquery, thread text, candidates int) returns table (id text, rank bigint)
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select m.id, row_number() over (order by ts_rank_cd(m.search, words) desc, m.id desc) as rank
  from messages m
  where m.search @@ (quote_literal(current_org())::tsquery && words) and m.org_id = current_org()
    and m.sender_type <> 'system' and (thread is null or m.thread_id = thread) and m.thread_id in (select guest_threads())
  order by rank limit candidates
$$;

-- The words' matches for whoever reads: a guest's in the guest's threads. The role that asks needs the right to its one of the two only.
create function search_words_seen(words tsquery, thread text, candidates int) returns table (id text, rank bigint)
  language plpgsql stable
as $$
begin
  if current_guest() is null then
    return query select w.id, w.rank from public.search_words(words, thread, candidates) w;
  else
    return query select w.id, w.rank from public.search_words_of_guest(words, thread, candidates) w;
  end if;
end $$;

revoke all on function guest_threads, search_words_of_guest from public;
grant execute on function guest_threads, search_words_of_guest to graphyn_guest;
grant create on schema public to graphyn_guest_reach; -- a function's owner must be able to make one
grant select (kind) on participants to graphyn_guest_reach;
alter function guest_threads owner to graphyn_guest_reach;
alter function search_words_of_guest owner to graphyn_guest_reach;
revoke create on schema public from graphyn_guest_reach;
revoke graphyn_guest_reach from current_user; -- nothing but the functions acts as this role

-- What a guest sees of a thread's tables: the rows of their threads.
do $$
declare
  name text;
begin
  foreach name in array array['participants', 'thread_log', 'messages', 'thread_branches', 'turns', 'agent_conversations', 'presence', 'read_positions'] loop
    execute format(
      'create policy guest on %I for select to graphyn_guest using (org_id = (select current_org()) and thread_id in (select guest_threads()))',
      name);
    execute format('grant select on %I to graphyn_guest', name);
  end loop;
end $$;
create policy guest on threads for select to graphyn_guest
  using (org_id = (select current_org()) and id in (select guest_threads()));
grant select on threads to graphyn_guest;

-- What hangs on these, as far as they are seen: the conditions' own tables are read with the guest's rights.
create policy guest on turn_deltas for select to graphyn_guest
  using (org_id = (select current_org()) and exists (select from turns t where t.org_id = turn_deltas.org_id and t.id = turn_deltas.turn_id));
grant select on turn_deltas to graphyn_guest;
create policy guest on reactions for select to graphyn_guest
  using (org_id = (select current_org()) and exists (select from messages m where m.org_id = reactions.org_id and m.id = reactions.message_id));
grant select on reactions to graphyn_guest;
create policy guest on message_embeddings for select to graphyn_guest
  using (org_id = (select current_org())
    and exists (select from messages m where m.org_id = message_embeddings.org_id and m.id = message_embeddings.message_id));
grant select on message_embeddings to graphyn_guest;

-- Of the people and agents in them who they are, and nothing of what they are like: no e-mail address, no prompt.
create policy guest on users for select to graphyn_guest
  using (org_id = (select current_org()) and exists (select from participants p where p.org_id = users.org_id and p.user_id = users.id));
grant select (org_id, id, name) on users to graphyn_guest;
create policy guest on agents for select to graphyn_guest
  using (org_id = (select current_org()) and exists (select from participants p where p.org_id = agents.org_id and p.agent_id = agents.id));
grant select (org_id, id, name, current_version_id, ask_ahead) on agents to graphyn_guest;
create policy guest on agent_versions for select to graphyn_guest
  using (org_id = (select current_org()) and exists (select from agents a where a.org_id = agent_versions.org_id and a.current_version_id = agent_versions.id));
grant select (org_id, id, letta_id) on agent_versions to graphyn_guest;
