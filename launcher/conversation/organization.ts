import { createFirstOrganization } from "../first-organization";
import type { Place } from "../paths";
import { answersOk } from "../stack/dev-model";
import { readEnv } from "../stack/env-file";
import type { Secrets } from "../stack/secrets";

/** The API key to use: the one kept in `.graphyn/env` if it still works, else that of a first organization made now. */
export async function ensureApiKey(place: Place, url: string, secrets: Secrets): Promise<string> {
  const kept = readEnv(place.env).GRAPHYN_API_KEY;
  if (kept && (await answersOk(`${url}/threads?limit=1`, { authorization: `Bearer ${kept}` }))) return kept;
  return (await createFirstOrganization(url, secrets.adminKey)).api_key;
}
