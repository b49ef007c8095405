/** Keys that organizations bring for an upstream, sealed in the database. */
import { secret } from "encore.dev/config";
import log from "encore.dev/log";
import { type Tx, tenant } from "../../db/tenant";
import { seal, unseal } from "../../lib/seal";

const orgSecretsKey = secret("OrgSecretsKey");

/** How long read keys are used without asking the database: a changed one is used everywhere within this. */
const TRUST_MS = 5_000;
const CACHED_MAX = 10_000;

const cached = new Map<string, { keys: Map<string, string>; until: number }>();

export interface Credential {
  upstream: string;
  last_four: string;
  updated_by: string;
  updated_at: Date;
}

export function canSeal(): boolean {
  return orgSecretsKey() !== "";
}

/** The keys an organization brought, by the upstream's name; "" for one that cannot be opened any more. */
export async function ownKeys(orgId: string): Promise<Map<string, string>> {
  const known = cached.get(orgId);
  if (known && known.until > performance.now()) return known.keys;
  const rows = await tenant(
    orgId,
    (tx) => tx.queryAll<{ upstream: string; sealed: Buffer }>`
      select upstream, sealed from model_credentials where org_id = ${orgId}`,
  );
  const keys = new Map(rows.map(({ upstream, sealed }) => [upstream, open(orgId, upstream, Buffer.from(sealed))]));
  cached.delete(orgId);
  if (cached.size >= CACHED_MAX) cached.delete(cached.keys().next().value as string);
  cached.set(orgId, { keys, until: performance.now() + TRUST_MS });
  return keys;
}

function open(orgId: string, upstream: string, sealed: Buffer): string {
  const key = canSeal() ? unseal(sealed, ownerOf(orgId, upstream), orgSecretsKey()) : null;
  if (key === null) {
    log.error("an organization's key cannot be opened: was the secret OrgSecretsKey changed?", {
      org_id: orgId,
      upstream,
    });
  }
  return key ?? "";
}

/** Sets an organization's key for an upstream; `keysChanged` is to be called after the commit. */
export async function setKey(
  tx: Tx,
  orgId: string,
  { upstream, apiKey, userId }: { upstream: string; apiKey: string; userId: string },
): Promise<Credential> {
  const sealed = seal(apiKey, ownerOf(orgId, upstream), orgSecretsKey());
  const row = await tx.queryRow<Credential>`
    insert into model_credentials (org_id, upstream, sealed, last_four, updated_by)
    values (${orgId}, ${upstream}, ${sealed}, ${apiKey.slice(-4)}, ${userId})
    on conflict (org_id, upstream) do update
      set sealed = excluded.sealed, last_four = excluded.last_four, updated_by = excluded.updated_by, updated_at = now()
    returning upstream, last_four, updated_by, updated_at`;
  return row as Credential;
}

export async function readCredential(orgId: string, upstream: string): Promise<Credential | null> {
  return tenant(
    orgId,
    (tx) => tx.queryRow<Credential>`
      select upstream, last_four, updated_by, updated_at from model_credentials
      where org_id = ${orgId} and upstream = ${upstream}`,
  );
}

/** Whether there was one. */
export async function clearKey(tx: Tx, orgId: string, upstream: string): Promise<boolean> {
  const row = await tx.queryRow`
    delete from model_credentials where org_id = ${orgId} and upstream = ${upstream} returning upstream`;
  return row !== null;
}

/** After the commit of a change: this process uses the new keys at once. */
export function keysChanged(orgId: string): void {
  cached.delete(orgId);
}

function ownerOf(orgId: string, upstream: string): string {
  return `model_credentials ${orgId} ${upstream}`;
}
