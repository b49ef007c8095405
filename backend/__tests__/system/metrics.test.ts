import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { newAgent, newThread, ok } from "../harness/organization";
import { openStream, turnsEnded } from "../harness/stream";
import { type Gateway, newDevModel, startGateway } from "../models/gateway";

const KEY = "the-operators-metrics-key";
const SAID = "a canary of what people say";

let model: Awaited<ReturnType<typeof newDevModel>>;
let gateway: Gateway;

beforeAll(async () => {
  model = await newDevModel();
  const upstreams = [{ name: "one", base_url: `${model.url}/v1` }];
  gateway = await startGateway(upstreams, { MetricsKey: KEY });
});
afterAll(async () => {
  await gateway?.server.stop();
  await model?.close();
});

const scrape = (authorization = `Bearer ${KEY}`, url = gateway.url) =>
  fetch(`${url}/metrics`, { headers: { authorization } });

/** The samples of an exposition: name with labels -> value. */
async function samples(): Promise<Map<string, number>> {
  const lines = (await (await scrape()).text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

describe("GET /metrics", () => {
  it("is for the operator alone: not without the key, and for nobody where there is none (OBS-1, SEC-1)", async () => {
    expect((await scrape()).headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    for (const authorization of ["", "Bearer ", "Bearer wrong", KEY, `Bearer ${gateway.org.apiKey}`]) {
      const refused = await scrape(authorization);
      expect(refused.status).toBe(401);
      expect(await refused.text()).not.toContain("graphyn_");
    }
    const { url } = inject("graphyn"); // a server without MetricsKey
    for (const authorization of ["", "Bearer ", `Bearer ${KEY}`])
      expect((await scrape(authorization, url)).status).toBe(401);
    const { paths } = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as { paths: object };
    expect(Object.keys(paths)).not.toContain("/metrics");
  });

  it("counts and times turns, deliveries, connections, calls and tokens, and names nobody (OBS-1)", async () => {
    const { org } = gateway;
    const agent = await newAgent(org, "Ada", "openai-proxy/dev");
    const failing = await newAgent(org, "Bo", "openai-proxy/dev-error-401");
    const thread = await newThread(org, [agent, failing]);
    const before = await samples();
    const stream = await openStream(org, thread);
    await stream.until((received) => received.some(({ event }) => event.type === "caught_up")); // from here on it is live
    await ok(org.call("POST", `/threads/${thread}/messages`, { content: SAID }));
    await stream.until(turnsEnded(2));
    expect((await gateway.ask({ model: "dev-n20" })).status).toBe(200);
    expect((await gateway.ask({ model: "dev-error-401" })).status).toBe(401);
    await expect
      .poll(async () => (await samples()).get('graphyn_turns_ended_total{outcome="completed",reason=""}'))
      .toBe(1);

    const now = await samples();
    const more = (name: string) => (now.get(name) ?? 0) - (before.get(name) ?? 0);
    const failed = [...now].filter(
      ([name, n]) => /^graphyn_turns_ended_total\{outcome="failed",reason="\w+"\}$/.test(name) && n === 1,
    );
    expect(failed).toHaveLength(1);
    expect(more("graphyn_first_token_seconds_count")).toBe(1);
    expect(now.get("graphyn_first_token_seconds_sum")).toBeGreaterThan(0);
    expect(more("graphyn_delivery_delay_seconds_count")).toBe(2); // the question and the answer
    expect(now.get('graphyn_connections{transport="sse"}')).toBe(1);
    expect(more('graphyn_upstream_requests_total{upstream="one",outcome="ok"}')).toBe(1);
    expect(more('graphyn_upstream_requests_total{upstream="one",outcome="key_invalid"}')).toBe(1);
    expect(more('graphyn_upstream_first_token_seconds_count{upstream="one"}')).toBe(1);
    expect(more('graphyn_model_calls_total{purpose="letta"}')).toBe(2);
    expect(more('graphyn_model_tokens_total{purpose="letta",kind="completion"}')).toBe(20);
    expect(now.get('graphyn_turns{state="running"}')).toBe(0);
    expect(now.get('graphyn_letta_breaker{server="letta-1",state="closed"}')).toBe(1);
    expect(now.get('graphyn_letta_places{kind="stream"}')).toBeGreaterThan(0);
    expect(now.get('graphyn_jobs{state="failed"}')).toBe(0);
    expect(now.get("process_cpu_seconds_total")).toBeGreaterThan(0);

    const text = await (await scrape()).text();
    for (const secret of [org.orgId, org.userId, org.apiKey, agent, thread, "Ada", SAID, gateway.user, model.url]) {
      expect(text).not.toContain(secret);
    }
    await stream.close();
    await expect.poll(async () => (await samples()).get('graphyn_connections{transport="sse"}')).toBe(0);
  });

  it("has every metric that the Grafana dashboard asks for (OBS-1)", async () => {
    const file = new URL("../../../infra/grafana/graphyn.json", import.meta.url);
    const asked = new Set<string>();
    JSON.parse(readFileSync(file, "utf8"), (key, value: unknown) => {
      if (key !== "expr" && key !== "query") return value;
      for (const [name] of String(value).matchAll(/\b(?:graphyn|process|nodejs)_[a-z0-9_]+/g)) asked.add(name);
      return value;
    });
    const text = await (await scrape()).text();
    const there = new Set(
      [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].flatMap(([, name, type]) =>
        type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
      ),
    );
    expect(asked.size).toBeGreaterThan(20);
    expect([...asked].filter((name) => !there.has(name))).toEqual([]);
  });
});
