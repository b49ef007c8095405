-- A key made with a key that is held to a limit counts for that one too: else a key would be rid of its limits by making another.
alter table api_keys add column bounded_by text;
create index api_keys_bounded_by on api_keys (org_id, bounded_by) where bounded_by is not null;

-- A key, those in whose place it is, and those with which it was made, as far as they were held to limits then.
create or replace function key_line(org text, key text) returns setof text language sql stable as $$
  with recursive line as (
    select key as id where key is not null
    union
    select before.id from line l cross join lateral (
      select k.id from api_keys k where k.org_id = org and k.replaced_by = l.id
      union all
      select k.bounded_by from api_keys k where k.org_id = org and k.id = l.id and k.bounded_by is not null) before)
  select id from line
$$;

-- A key, those that took its place, and those that were made with it while it was held to limits.
create or replace function key_heirs(org text, key text) returns setof text language sql stable as $$
  with recursive heir as (
    select key as id
    union
    select after.id from heir h cross join lateral (
      select k.replaced_by as id from api_keys k where k.org_id = org and k.id = h.id and k.replaced_by is not null
      union all
      select k.id from api_keys k where k.org_id = org and k.bounded_by = h.id) after)
  select id from heir
$$;
