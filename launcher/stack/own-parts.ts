import pg from "pg";
import { Fault } from "../fault";

const ASK_TIMEOUT_MS = 5_000;

/** What the user brings along instead of an embedded part. */
export interface OwnParts {
  readonly databaseUrl: string | undefined;
  readonly letta: { readonly url: string; readonly key: string } | undefined;
}

export function ownParts(env: NodeJS.ProcessEnv): OwnParts {
  const { DATABASE_URL, LETTA_API_URL, LETTA_API_KEY } = env;
  return {
    databaseUrl: DATABASE_URL || undefined,
    letta: LETTA_API_URL ? { url: LETTA_API_URL.replace(/\/+$/, ""), key: LETTA_API_KEY ?? "" } : undefined,
  };
}

/** @throws Fault unless the user's PostgreSQL answers and has pgvector, or lets this role add it. */
export async function checkDatabase(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: ASK_TIMEOUT_MS });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("create extension if not exists vector");
    const { rows } = await client.query<{ server_version: string }>("show server_version");
    return `${rows[0]?.server_version} at ${client.host}:${client.port}, yours`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Fault(
      `The PostgreSQL of DATABASE_URL cannot be used: ${reason}.`,
      "Check the address, that the server runs, and that an administrator did `create extension vector` in that database.",
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** @throws Fault unless each of the user's Letta servers (LETTA_API_URL may name several, separated by commas) takes the key. */
export async function checkLetta({ url, key }: { url: string; key: string }): Promise<string> {
  for (const base of url.split(",")) {
    const response = await fetch(`${base}/v1/health/`, {
      headers: key ? { authorization: `Bearer ${key}` } : {},
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    }).catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
    if (typeof response === "string" || !response.ok) {
      const reason = typeof response === "string" ? response : `it answers ${response.status}`;
      throw new Fault(
        `The Letta server of LETTA_API_URL cannot be used: ${base}: ${reason}.`,
        "Check the address and LETTA_API_KEY.",
      );
    }
  }
  return `${url}, yours`;
}
