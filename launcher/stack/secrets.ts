import { randomBytes } from "node:crypto";
import { readJson, writePrivate } from "./files";

const SECRET_BYTES = 32;
const NAMES = [
  "postgresAdmin",
  "graphynDatabase",
  "lettaDatabase",
  "lettaServer",
  "apiKeyHashKey",
  "adminKey",
  "modelGatewayKey",
  "orgSecretsKey",
  "metricsKey",
  "auditKey",
] as const;

export type Secrets = Readonly<Record<(typeof NAMES)[number], string>>;

/** The stack's passwords and keys, made once and kept (mode 0600). A name added later gets its value at the next start. */
export function loadSecrets(file: string): Secrets {
  const known = readJson<Partial<Secrets>>(file) ?? {};
  const missing = NAMES.filter((name) => !known[name]);
  const all = { ...known } as Record<(typeof NAMES)[number], string>;
  for (const name of missing) all[name] = randomBytes(SECRET_BYTES).toString("base64url");
  if (missing.length > 0) writePrivate(file, `${JSON.stringify(all, null, 2)}\n`);
  return all;
}
