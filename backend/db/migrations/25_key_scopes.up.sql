-- What a key may do: backend/organizations/scopes.ts says what stands here. Keys of before may what their owner may.
alter table api_keys add column scopes text[] not null default '{*}' check (cardinality(scopes) between 1 and 50);
