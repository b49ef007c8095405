import { setTimeout as sleep } from "node:timers/promises";
import { type Letta, LettaError, type LettaTenant } from "../lib/letta-client";
import { dropLease, keepStep, loadTenant, type TenantRow, takeLease } from "./tenant";

/** How long a caller waits while another process provisions the same organization. */
const WAIT_MS_MAX = 20_000;
const WAIT_STEP_MS = 200;

/**
 * The organization's Letta organization, user and identity; made if they are not there yet. Letta has no unique names and makes as many
 * as it is asked for, so the right to ask is a lease in our database, every step is written down as soon as it is done, and what a crash
 * left between the two is found by its name and adopted.
 */
export async function provision(letta: Letta, orgId: string): Promise<LettaTenant> {
  const deadline = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const known = readyTenant(orgId, await loadTenant(orgId));
    if (known) return known;
    const lease = await takeLease(orgId);
    if (lease) {
      try {
        return await makeTenant(letta, orgId, lease);
      } catch (error) {
        await dropLease(orgId, lease.attempt);
        throw error;
      }
    }
    if (performance.now() > deadline) throw new LettaError("unavailable", { code: "provisioning" });
    await sleep(WAIT_STEP_MS);
  }
}

/** The name in Letta, the same for organization and user: how a crashed provisioning is found again. */
export function lettaName(orgId: string): string {
  return `graphyn ${orgId}`;
}

async function makeTenant(letta: Letta, orgId: string, lease: TenantRow): Promise<LettaTenant> {
  const { attempt } = lease;
  const name = lettaName(orgId);
  const firstAttempt = attempt === 1; // then nothing can be there, and Letta's list need not be read
  const keep = async (step: Parameters<typeof keepStep>[2]) => {
    if (!(await keepStep(orgId, attempt, step))) throw new LettaError("unavailable", { code: "lease_lost" });
  };

  let lettaOrgId = lease.letta_org_id;
  if (lettaOrgId === null) {
    const left = firstAttempt ? [] : await letta.admin.findOrganizations(name);
    lettaOrgId = left[0] ?? (await letta.admin.createOrganization(name));
    await keep({ lettaOrgId });
  }

  let lettaUserId = lease.letta_user_id;
  if (lettaUserId === null) {
    const left = firstAttempt ? [] : await letta.admin.findUsers(name, lettaOrgId);
    lettaUserId = left[0] ?? (await letta.admin.createUser(name, lettaOrgId));
    await keep({ lettaUserId });
  }

  const inLetta = letta.as({ orgId, lettaUserId, identityId: "" });
  const identityId = lease.identity_id ?? (await inLetta.identity.upsert(name));
  await keep({ identityId });
  await inLetta.tools.addBaseTools();
  await keep({ ready: true });
  return { orgId, lettaUserId, identityId };
}

function readyTenant(orgId: string, row: TenantRow | null): LettaTenant | null {
  if (row === null || row.ready_at === null || row.letta_user_id === null || row.identity_id === null) return null;
  return { orgId, lettaUserId: row.letta_user_id, identityId: row.identity_id };
}
