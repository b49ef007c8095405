import type { IncomingMessage } from "node:http";
import { secret } from "encore.dev/config";
import { sameSecret } from "../../lib/same-secret";

const modelGatewayKey = secret("ModelGatewayKey");

/** Whether a request is Letta's: it carries the gateway's key. */
export function isLetta(req: IncomingMessage): boolean {
  const given = /^Bearer +(\S+)$/i.exec(req.headers.authorization ?? "")?.[1] ?? "";
  return sameSecret(given, modelGatewayKey());
}
