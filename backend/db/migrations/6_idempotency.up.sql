-- An answer kept for a retry of the same request. Written in the transaction of the write itself: both are there or neither is.
create table idempotency_keys (
  org_id       text not null references organizations on delete cascade,
  caller       text not null,
  key          text not null,
  request_hash bytea not null,
  response     jsonb,
  created_at   timestamptz not null default now(),
  primary key (org_id, caller, key)
);
call tenant_table('idempotency_keys');
