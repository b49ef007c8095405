import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type DevModel, startDevModel } from "dev-model";
import { inject } from "vitest";
import { newAgent, newOrganization, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { tenantInLetta } from "../letta/past-graphyn";

/** A Graphyn whose gateway has the given upstreams, and an organization of it that Letta knows: a new one, or `of`. */
export interface Gateway {
  server: Server;
  url: string;
  key: string;
  org: TestOrganization;
  /** The organization's user in Letta. */
  user: string;
  /** Asks as Letta does, for that organization. */
  ask(body: object, options?: { key?: string; signal?: AbortSignal }): Promise<Response>;
}

export interface UpstreamConfig {
  name: string;
  base_url: string;
  [more: string]: unknown;
}

export async function startGateway(
  upstreams: UpstreamConfig[],
  env: Record<string, string> = {},
  of?: TestOrganization,
): Promise<Gateway> {
  const { databaseUrl, adminKey, adminUrl } = inject("graphyn");
  const key = randomBytes(16).toString("hex");
  const server = await startServer({
    databaseUrl,
    adminKey,
    env: {
      MODEL_UPSTREAMS: JSON.stringify(upstreams),
      ModelGatewayKey: key,
      OrgSecretsKey: "test-org-secrets",
      ...env,
    },
  });
  const org = of ?? (await newOrganization({ ...inject("graphyn"), url: server.url }));
  if (!of) await newAgent(org, "Ada"); // makes the organization's place in Letta
  const user = (await tenantInLetta(org.orgId, adminUrl)).letta_user_id;
  return {
    server,
    url: server.url,
    key,
    org,
    user,
    ask: (body, { key: given = key, signal } = {}) =>
      fetch(`${server.url}/internal/models/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${given}`, "content-type": "application/json" },
        body: JSON.stringify({ user, messages: [{ role: "user", content: "hello" }], ...body }),
        signal: signal ?? AbortSignal.timeout(30_000),
      }),
  };
}

export interface Recorded {
  model: string;
  body: { stream?: boolean; stream_options?: object; messages: unknown[] };
  status: number;
  tokens_sent: number;
  client_gone: boolean;
  ended_monotonic_ms: number | null;
}

/** A dev model of the test's own, which shows what it was asked. */
export async function newDevModel(): Promise<DevModel & { requests(model?: string): Promise<Recorded[]> }> {
  const model = await startDevModel({ port: 0, record: true });
  return {
    ...model,
    async requests(id) {
      const response = await fetch(`${model.url}/debug/requests${id ? `?model=${id}` : ""}`);
      return ((await response.json()) as { requests: Recorded[] }).requests;
    },
  };
}

/** An HTTP server that answers as the test says, for what the dev model does not do. */
export async function newProvider(answer: (req: IncomingMessage, resp: ServerResponse) => void) {
  const seen: IncomingMessage[] = [];
  const server = createServer((req, resp) => {
    seen.push(req);
    req.resume();
    answer(req, resp);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export interface ChatCompletion {
  choices: {
    message: { content: string | null; tool_calls?: { id: string; function: { name: string; arguments: string } }[] };
    finish_reason: string;
  }[];
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
  error?: { message: string; type: string; code: string };
}

export async function whole(response: Response): Promise<{ status: number; body: ChatCompletion }> {
  return { status: response.status, body: (await response.json()) as ChatCompletion };
}

/** The numbered tokens that the dev model says: 1 2 3 … */
export function numbers(count: number): string {
  return Array.from({ length: count }, (_, at) => at + 1).join(" ");
}
