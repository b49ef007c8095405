import { tenant } from "../../db/tenant";
import { ownOrgIdOf } from "./clerk-ids";
import { holdOrganization, type NameWord, namePerson } from "./seats";
import { inClerksName } from "./tell";

const OWN_NAME = "Personal";

export function ownOrganization(issuer: string, clerkUserId: string) {
  return { orgId: ownOrgIdOf(issuer, clerkUserId), externalId: clerkUserId, name: OWN_NAME };
}

/**
 * Writes down, in the person's own organization, that they have a place in another one: so what Clerk says of the person can be brought
 * there, and nobody has to see several organizations at once. False when the person is no more. Written before the place itself: of this
 * and the person's deletion, which reads it, one always sees the other.
 */
export async function writePlace(issuer: string, clerkUserId: string, orgId: string): Promise<boolean> {
  const own = ownOrganization(issuer, clerkUserId);
  return inClerksName(own.orgId, async (tx, tell) => {
    const { isDeleted } = await holdOrganization(tx, tell, own.orgId, own);
    if (isDeleted) return false;
    await tx.exec`
      insert into clerk_places (org_id, place_org_id) values (${own.orgId}, ${orgId}) on conflict do nothing`;
    return true;
  });
}

/** Keeps how a person is called, for every place they have or will have. False when that is not news, or they are no more. */
export async function keepName(issuer: string, { externalId, name, email, at }: NameWord): Promise<boolean> {
  const own = ownOrganization(issuer, externalId);
  return inClerksName(own.orgId, async (tx, tell) => {
    const { isDeleted } = await holdOrganization(tx, tell, own.orgId, own);
    if (isDeleted) return false;
    const isNews = await tx.queryRow`
      insert into clerk_people as p (org_id, name, email, named_at) values (${own.orgId}, ${name}, ${email}::text, ${at})
      on conflict (org_id) do update set name = excluded.name, email = excluded.email, named_at = excluded.named_at
        where p.named_at < excluded.named_at
      returning org_id`;
    return isNews !== null;
  });
}

/** Brings the kept name to a place that is new. Read after the place was made: of this and a new name, which reads the places, one sees the other. */
export async function bringName(issuer: string, clerkUserId: string, orgId: string): Promise<void> {
  const own = ownOrganization(issuer, clerkUserId);
  const kept = await tenant(
    own.orgId,
    (tx) => tx.queryRow<{ name: string; email: string | null; at: Date }>`
      select name, email, named_at as at from clerk_people where org_id = ${own.orgId}`,
  );
  if (kept) await inClerksName(orgId, (tx, tell) => namePerson(tx, tell, orgId, { externalId: clerkUserId, ...kept }));
}
