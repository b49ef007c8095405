import { idOf } from "../../lib/ids";

/**
 * Which organization of ours one of Clerk's is follows from its id and the instance's issuer. So nothing has to be looked up before the
 * tenant is known, no role has to see several organizations, and all who see one for the first time at once make the same one.
 */
export function orgIdOf(issuer: string, clerkOrgId: string): string {
  return idOf("org", `${issuer} organization ${clerkOrgId}`);
}

/** A person's own organization: where they are when they have chosen none, and where their places in others are written down. */
export function ownOrgIdOf(issuer: string, clerkUserId: string): string {
  return idOf("org", `${issuer} person ${clerkUserId}`);
}
