import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { newAgent, newOrganization, type Problem, request, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { sendOnce } from "./send-once";
import { writesOf } from "./write-requests";

interface OpenApi {
  paths: Record<
    string,
    Record<
      string,
      {
        parameters?: { name: string; in: string }[];
        responses: Record<string, { headers?: Record<string, unknown> } | undefined>;
      }
    >
  >;
}

const graphyn = inject("graphyn");
const WRITES = new Set(["post", "put", "patch", "delete"]);
const { paths } = (await request<OpenApi>(graphyn.url, "GET", "/openapi.json")).body;
const writes = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).flatMap(([method, operation]) =>
    WRITES.has(method) && !path.startsWith("/internal/")
      ? [{ name: `${method.toUpperCase()} ${path}`, operation }]
      : [],
  ),
);

let org: TestOrganization;
let agent: string;
/** A second process on the same database. */
let beside: Server;
beforeAll(async () => {
  beside = await startServer({
    databaseUrl: graphyn.databaseUrl,
    adminKey: graphyn.adminKey,
    env: { OrgSecretsKey: "test-org-secrets", MODEL_UPSTREAMS: UPSTREAMS },
  });
  org = await newOrganization({ ...graphyn, url: beside.url });
  agent = await newAgent(org, "Echo", "openai-proxy/dev-echo");
});
afterAll(() => beside?.stop());

const UPSTREAMS = JSON.stringify([{ name: "dev", base_url: `${process.env.DEV_MODEL_URL}/v1`, key_secret: "dev" }]);

/** Model credentials need a secret that only the second process has. */
const onlyBeside = (name: string) => name.includes("/models/credentials/");

/** Writes whose request cannot be sent like these, and where they are tried. */
const ELSEWHERE: Record<string, string> = {
  "POST /organizations/import": "an archive comes from another Graphyn: archive/import.test.ts",
};

describe("every write", () => {
  it("is known to these tests, takes the header Idempotency-Key, and documents both (THR-6)", () => {
    expect(writes.map(({ name }) => name).sort()).toEqual(
      [writesOf(org, agent), ELSEWHERE].flatMap((table) => Object.keys(table)).sort(),
    );
    for (const { name, operation } of writes) {
      const takes = operation.parameters?.some((one) => one.in === "header" && one.name === "Idempotency-Key");
      const marks = Object.keys(operation.responses["200"]?.headers ?? {});
      expect([name, takes, marks]).toEqual([name, true, expect.arrayContaining(["Idempotent-Replayed"])]);
    }
  });

  it.each(writes.map(({ name }) => name).filter((name) => !(name in ELSEWHERE)))(
    "is done once for a key, in whichever process: %s (THR-6)",
    async (name) => {
      const write = await writesOf(org, agent)[name]?.();
      if (!write) throw new Error(`no request for ${name}`);
      const key = randomUUID();
      const there = onlyBeside(name) ? beside.url : graphyn.url;
      const parallel = await Promise.all(
        [beside.url, there, beside.url, there].map((url) => sendOnce(org, name, write, key, url)),
      );
      const later = await sendOnce(org, name, write, key, there);
      const answers = [...parallel, later];
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      for (const { body } of answers) expect(body).toEqual(later.body);
      expect(answers.filter(({ replayed }) => replayed === null)).toHaveLength(1);
      expect(later.replayed).toBe("true");

      if (write.other) {
        const another = await sendOnce(org, name, { ...write, ...write.other }, key);
        expect(another.status).toBe(409);
        expect((another.body as Problem).details.reason).toBe("idempotency_key_reused");
      }
      expect((await sendOnce(org, name, write, "x".repeat(256))).body).toMatchObject({
        details: { reason: "bad_idempotency_key" },
      });
    },
    60_000,
  );
});
