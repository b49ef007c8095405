-- Who is no member any more takes part in no thread any more: a job takes them out of each and says so there (jobs/leave-threads.ts). Not of
-- who is being erased: that takes them out itself, and leaves no word of them.
create function leave_threads() returns trigger language plpgsql as $$
begin
  if current_org() is not null and exists (
    select from participants where org_id = old.org_id and user_id = old.user_id and kind = 'user' and left_at is null
  ) and not exists (
    select from erasures
    where org_id = old.org_id and state = 'running' and coalesce(person_id, old.user_id) = old.user_id
  ) then
    perform enqueue_job('leave_threads', jsonb_build_object('user_id', old.user_id));
  end if;
  return null;
end $$;
create trigger members_leave after delete on members for each row execute function leave_threads();
