-- Enqueues a background job in the caller's transaction, for the caller's organization only. graphile-worker's own tables are closed
-- to the tenant role, so this runs with the rights of the application's login role, and takes the organization from the
-- transaction rather than from its arguments.
-- `delay` is for what nobody waits for: such work must not take the processor from an answer that is just beginning.
create function enqueue_job(task text, payload jsonb, delay interval default '0 seconds') returns void
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if current_org() is null then
    raise exception 'enqueue_job needs a tenant transaction';
  end if;
  perform graphile_worker.add_job(
    task, (payload || jsonb_build_object('org_id', current_org()))::json,
    run_at => now() + delay, max_attempts => 8);
end $$;
revoke all on function enqueue_job from public;
grant execute on function enqueue_job to graphyn_tenant;
