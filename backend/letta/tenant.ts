import { type Tx, tenant } from "../db/tenant";

/** What an organization has in Letta, as far as it is made. */
export interface TenantRow {
  letta_org_id: string | null;
  letta_user_id: string | null;
  identity_id: string | null;
  ready_at: Date | null;
  attempt: number;
}

/** Longer than provisioning may take, so that two processes never provision one organization at once. */
const LEASE = "30 seconds";

export async function loadTenant(orgId: string): Promise<TenantRow | null> {
  return tenant(
    orgId,
    (tx) => tx.queryRow<TenantRow>`
      select letta_org_id, letta_user_id, identity_id, ready_at, attempt from letta_tenants where org_id = ${orgId}`,
  );
}

/** Takes the right to provision, or null while somebody else has it or when it is done. `attempt` names this holder. */
export async function takeLease(orgId: string): Promise<TenantRow | null> {
  return tenant(orgId, async (tx) => {
    await tx.exec`insert into letta_tenants (org_id) values (${orgId}) on conflict do nothing`;
    return tx.queryRow<TenantRow>`
      update letta_tenants set attempt = attempt + 1, lease_until = now() + ${LEASE}::text::interval
      where org_id = ${orgId} and ready_at is null and (lease_until is null or lease_until < now())
      returning letta_org_id, letta_user_id, identity_id, ready_at, attempt`;
  });
}

/** Writes down one step. False: the lease was lost, and with it the right to go on. */
export async function keepStep(
  orgId: string,
  attempt: number,
  step: { lettaOrgId?: string; lettaUserId?: string; identityId?: string; ready?: true },
): Promise<boolean> {
  const row = await tenant(
    orgId,
    (tx) => tx.queryRow`
      update letta_tenants set
        letta_org_id  = coalesce(${step.lettaOrgId ?? null}::text, letta_org_id),
        letta_user_id = coalesce(${step.lettaUserId ?? null}::text, letta_user_id),
        identity_id   = coalesce(${step.identityId ?? null}::text, identity_id),
        ready_at      = case when ${step.ready ?? false}::boolean then now() else ready_at end,
        lease_until   = case when ${step.ready ?? false}::boolean then null else lease_until end
      where org_id = ${orgId} and attempt = ${attempt} and lease_until > now()
      returning org_id`,
  );
  return row !== null;
}

/** Gives the lease back after a failure, so that the next try need not wait for its end. */
export async function dropLease(orgId: string, attempt: number): Promise<void> {
  await tenant(
    orgId,
    (tx) => tx.exec`update letta_tenants set lease_until = null where org_id = ${orgId} and attempt = ${attempt}`,
  );
}

export async function markReconciled(tx: Tx, orgId: string): Promise<void> {
  await tx.exec`update letta_tenants set reconciled_at = now() where org_id = ${orgId}`;
}
