-- Keys that are older than a retry can be are deleted a few at a time, with the next new key of their organization: oldest first.
create index idempotency_keys_age on idempotency_keys (org_id, created_at);
