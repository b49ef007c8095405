import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { secret } from "encore.dev/config";

const modelGatewayKey = secret("ModelGatewayKey");

/** Whether a request is Letta's: it carries the gateway's key. Compared in constant time, by hash, so that lengths do not tell either. */
export function isLetta(req: IncomingMessage): boolean {
  const wanted = modelGatewayKey();
  const given = /^Bearer +(\S+)$/i.exec(req.headers.authorization ?? "")?.[1] ?? "";
  if (wanted === "") return false; // an empty secret opens nothing
  return timingSafeEqual(hash(given), hash(wanted));
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
