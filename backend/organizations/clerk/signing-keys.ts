import { createPublicKey, type JsonWebKey } from "node:crypto";
import log from "encore.dev/log";
import { KeysUnavailable, SessionRefused } from "./refusal";
import { type ClerkSettings, clerkSecret } from "./settings";

/** Keys are asked for anew after this; where Clerk cannot be reached, those that are known go on counting for a day. */
const KEYS_FRESH_MS = 5 * 60_000;
const KEYS_KEPT_MS = 24 * 60 * 60_000;
/** They are asked for at most this often: made-up key ids cost Clerk and us nothing. */
const ASK_MS = 10_000;
const FETCH_MS_MAX = 5_000;
const KEYS_MAX = 50;

/** PEM by key id. */
let keys = new Map<string, string>();
let fetchedAt = Number.NEGATIVE_INFINITY;
let triedAt = Number.NEGATIVE_INFINITY;
let fetching: Promise<void> | null = null;
let configured: string | null = null;

/** The public key (PEM) that a token names: the configured one, or one of the instance's. Throws SessionRefused or KeysUnavailable. */
export async function signingKey(settings: ClerkSettings, kid: unknown): Promise<string> {
  if (settings.jwtKey !== "") return configuredKey(settings.jwtKey);
  if (typeof kid !== "string") throw new SessionRefused("unknown_key");
  const age = performance.now() - fetchedAt;
  const known = age < KEYS_KEPT_MS ? keys.get(kid) : undefined;
  if (known !== undefined && age < KEYS_FRESH_MS) return known;
  if (performance.now() - triedAt >= ASK_MS) fetching ??= fetchKeys(settings);
  if (known !== undefined) return known; // the next one has the new keys
  await fetching;
  const key = keys.get(kid);
  if (key !== undefined) return key;
  if (performance.now() - fetchedAt >= KEYS_KEPT_MS) throw new KeysUnavailable();
  throw new SessionRefused("unknown_key");
}

function configuredKey(pem: string): string {
  try {
    configured ??= createPublicKey(pem).export({ type: "spki", format: "pem" }).toString();
    return configured;
  } catch {
    log.error("CLERK_JWT_KEY is not a public key (PEM)");
    throw new KeysUnavailable();
  }
}

/** Never rejects: what was known stays. */
async function fetchKeys({ apiUrl }: ClerkSettings): Promise<void> {
  try {
    const response = await fetch(`${apiUrl}/v1/jwks`, {
      headers: { authorization: `Bearer ${clerkSecret()}` },
      redirect: "error",
      signal: AbortSignal.timeout(FETCH_MS_MAX),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const body = (await response.json()) as { keys?: (JsonWebKey & { kid?: string })[] };
    const found = new Map<string, string>();
    for (const jwk of body.keys?.slice(0, KEYS_MAX) ?? []) {
      if (jwk.kty !== "RSA" || typeof jwk.kid !== "string") continue;
      const pem = createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "pem" });
      found.set(jwk.kid, pem.toString());
    }
    if (found.size === 0) throw new Error("no keys");
    keys = found;
    fetchedAt = performance.now();
  } catch (error) {
    log.error("Clerk's keys could not be fetched", { error: error instanceof Error ? error.message : "unknown" });
  } finally {
    triedAt = performance.now();
    fetching = null;
  }
}
