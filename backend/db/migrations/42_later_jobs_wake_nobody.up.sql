-- A job that is due later tells nobody that it is there: no worker may begin it yet, and each finds it when it is due (POLL_MS in
-- jobs/worker.ts). graphile-worker's add_job notifies all the same, and with each message, whose embedding is due in 2 s, that has two costs:
-- a transaction that notifies holds one lock of the whole server while its commit goes to disk, so messages that are stored at the same
-- time wait for each other's; and in every process a worker wakes up, asks for a job and is given none. With 12 agents that begin at once on
-- 2 cores, the message posted with them came to its reader after 125 ms, and after 58 without (docs/decisions/2026-11-23-hints-between-processes.md).
-- add_job calls pg_notify by its bare name: here it finds one that does nothing. Should it call it another way, it notifies as before.
create schema graphyn_quiet;
create function graphyn_quiet.pg_notify(text, text) returns void language plpgsql as $$ begin end $$;

create or replace function enqueue_job(task text, payload jsonb, delay interval default '0 seconds') returns void
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if current_org() is null then
    raise exception 'enqueue_job needs a tenant transaction';
  end if;
  if delay > '0 seconds' then
    set local search_path = graphyn_quiet, pg_catalog, public, pg_temp; -- until this function's end
  end if;
  perform graphile_worker.add_job(
    task, (payload || jsonb_build_object('org_id', current_org()))::json,
    run_at => now() + delay, max_attempts => 8);
end $$;
