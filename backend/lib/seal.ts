/**
 * Secrets at rest: AES-256-GCM (NIST SP 800-38D), a random nonce each, under a key derived from a secret of the server.
 * What a sealed text belongs to is bound to it, so that it opens in no other row.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** version (1 byte), nonce (12), tag (16), ciphertext. */
export function seal(text: string, owner: string, secret: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", keyOf(secret), nonce).setAAD(Buffer.from(owner));
  const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), sealed]);
}

/** The text, or null when it was sealed under another secret, for another owner, or changed since. */
export function unseal(sealed: Buffer, owner: string, secret: string): string | null {
  if (sealed.length < 1 + NONCE_BYTES + TAG_BYTES || sealed[0] !== VERSION) return null;
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", keyOf(secret), nonce).setAAD(Buffer.from(owner)).setAuthTag(tag);
  try {
    const text = [decipher.update(sealed.subarray(1 + NONCE_BYTES + TAG_BYTES)), decipher.final()];
    return Buffer.concat(text).toString("utf8");
  } catch {
    return null;
  }
}

/** By secret: a server has two. */
const derived = new Map<string, Buffer>();

function keyOf(secret: string): Buffer {
  if (secret === "") throw new Error("the secret to seal with is not set");
  const known = derived.get(secret);
  if (known) return known;
  const key = Buffer.from(hkdfSync("sha256", secret, "", "graphyn organization secrets", KEY_BYTES));
  derived.set(secret, key);
  return key;
}
