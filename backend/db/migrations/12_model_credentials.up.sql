-- Keys an organization brings for an upstream of the model gateway, one an upstream. `sealed` is AES-256-GCM under a key that the database does
-- not have (models/seal.ts), bound to this organization and upstream: copied into another row it does not open.
create table model_credentials (
  org_id     text not null references organizations on delete cascade,
  upstream   text not null,
  sealed     bytea not null,
  last_four  text not null,
  updated_by text not null,
  updated_at timestamptz not null default now(),
  primary key (org_id, upstream),
  foreign key (org_id, updated_by) references users
);
call tenant_table('model_credentials');
