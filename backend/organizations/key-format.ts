import { createHmac, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

/**
 * `gk_<organization>_<secret><checksum>`: greppable by its prefix; the checksum tells a typo without asking the database; the
 * organization stands in it so that a key is looked up inside its own organization's rows, under row-level security like all else.
 * An invitation's token (`gi_`) has the same form.
 */
export type TokenPrefix = "gk_" | "gi_";
const SECRET_BYTES = 32;
const TOKEN = /^(gk_|gi_)([0-7][0-9a-hjkmnp-tv-z]{25})_([0-9a-f]{64})([0-9a-f]{8})$/;

export interface ParsedKey {
  orgId: string;
  key: string;
}

export function newKey(orgId: string, prefix: TokenPrefix = "gk_"): string {
  const body = `${prefix}${orgId.slice("org_".length)}_${randomBytes(SECRET_BYTES).toString("hex")}`;
  return body + checksum(body);
}

/** The organization a key names, or null when it cannot be a key. Says nothing of whether the key is valid. */
export function parseKey(key: string, prefix: TokenPrefix = "gk_"): ParsedKey | null {
  const match = TOKEN.exec(key);
  if (!match?.[2] || match[1] !== prefix || checksum(key.slice(0, -8)) !== match[4]) return null;
  return { orgId: `org_${match[2]}`, key };
}

/** What is stored: useless without the hash key, which is not in the database. */
export function hashKey(key: string, hashSecret: string): Buffer {
  return createHmac("sha256", hashSecret).update(key).digest();
}

function checksum(body: string): string {
  return crc32(body).toString(16).padStart(8, "0");
}
