import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign, verify } from "node:crypto";

/** PKCS #8 of an Ed25519 private key, up to its 32 bytes (RFC 8410). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SEED_BYTES = 32;

/** The key that signs receipts: Ed25519, derived from the server's audit key, so that there is no second secret to lose. */
function privateKey(secret: string): KeyObject {
  const seed = Buffer.from(hkdfSync("sha256", secret, "", "graphyn erasure receipts", SEED_BYTES));
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
}

/** Base64 of the signature over the text's UTF-8 bytes. */
export function signText(text: string, secret: string): string {
  return sign(null, Buffer.from(text), privateKey(secret)).toString("base64");
}

/** PEM, for whoever wants to check a receipt without asking the server. */
export function publicKeyOf(secret: string): string {
  return createPublicKey(privateKey(secret)).export({ type: "spki", format: "pem" }).toString();
}

export function isSigned(text: string, signature: string, publicKey: string): boolean {
  return verify(null, Buffer.from(text), publicKey, Buffer.from(signature, "base64"));
}
