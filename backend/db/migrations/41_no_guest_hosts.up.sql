-- A guest hosts no thread: whoever makes a host asks first (threads/roles.ts), and here is the wall behind it. The member's row is held, so
-- that who becomes a guest at this moment waits for it. An import writes what was (threads/roles.ts gives a guest no more for it).
create function refuse_guest_host() returns trigger language plpgsql as $$
declare
  is_guest boolean;
begin
  select role = 'guest' into is_guest from members where org_id = new.org_id and user_id = new.user_id for share;
  if is_guest and coalesce(current_setting('graphyn.importing', true), '') <> 'on' then
    raise exception 'a guest hosts no thread' using errcode = 'check_violation';
  end if;
  return null;
end $$;
create trigger participants_no_guest_host after insert or update of role on participants
  for each row when (new.role = 'host' and new.left_at is null) execute function refuse_guest_host();

-- A host who becomes a guest is a speaker from then on, and somebody else host after the last one: the job that takes out who left does it.
create function guest_steps_down() returns trigger language plpgsql as $$
begin
  if current_org() is not null and exists (
    select from participants
    where org_id = new.org_id and user_id = new.user_id and kind = 'user' and left_at is null and role = 'host'
  ) then
    perform enqueue_job('leave_threads', jsonb_build_object('user_id', new.user_id));
  end if;
  return null;
end $$;
create trigger members_step_down after update of role on members
  for each row when (new.role = 'guest' and old.role <> 'guest') execute function guest_steps_down();
