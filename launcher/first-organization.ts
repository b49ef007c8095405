/** The organization that a new server begins with, its owner, and the key to be kept in `.graphyn/env`. */
export interface FirstOrganization {
  organization_id: string;
  user_id: string;
  /** Shown by the server once: whoever loses it makes another with POST /organizations. */
  api_key: string;
}

const ANSWER_MS_MAX = 10_000;

/**
 * Creates it through the public API (POST /organizations), with the operator's key: the secret AdminKey that the server was started with.
 * Throws when the server refuses.
 */
export async function createFirstOrganization(url: string, adminKey: string): Promise<FirstOrganization> {
  const response = await fetch(`${url}/organizations`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-admin-key": adminKey },
    body: JSON.stringify({ name: "My organization", owner_name: "Owner" }),
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  if (!response.ok)
    throw new Error(`The first organization could not be created: the server answered ${response.status}.`);
  return (await response.json()) as FirstOrganization;
}
