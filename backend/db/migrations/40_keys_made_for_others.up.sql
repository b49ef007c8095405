-- An admin made the key for somebody else, and may know it: it acts as no owner, should its person become one.
alter table api_keys add column made_by_admin boolean not null default false;
