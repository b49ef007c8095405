-- Words are stored for a turn that runs and that their process holds, and for no other: a process that was paused for longer than its lease
-- goes on where it stood, when another has long ended the turn, or begun it again. `for key share` waits for whoever is just taking the turn
-- (`for update`) and then looks at it once more, and for nobody else. Locking a row needs the right to update a column of it; `with check
-- (false)` lets no update be done with that.
create policy flush_held on turns for select to graphyn_flush using (state = 'running');
create policy flush_hold on turns for update to graphyn_flush using (state = 'running') with check (false);
grant select (org_id, id, state, lease_owner), update (lease_until) on turns to graphyn_flush;
