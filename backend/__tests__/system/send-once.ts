import type { TestOrganization } from "../harness/organization";

export interface Write {
  path: string;
  body?: object;
  /** Another request of the same operation. */
  other?: { path?: string; body?: object };
  headers?: Record<string, string>;
}

/** Sends a write with a key as the organization, to where it was made unless told otherwise. `name`: its method, and what comes behind it. */
export async function sendOnce(
  org: TestOrganization,
  name: string,
  { path, body, headers = {} }: Write,
  key: string,
  at = org.url,
) {
  const [method = ""] = name.split(" ");
  const response = await fetch(at + path, {
    method,
    headers: {
      authorization: `Bearer ${org.apiKey}`,
      "idempotency-key": key,
      ...(body ? { "content-type": "application/json" } : {}),
      ...headers,
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: AbortSignal.timeout(60_000),
  });
  return {
    status: response.status,
    body: (await response.json()) as object,
    replayed: response.headers.get("idempotent-replayed"),
  };
}
