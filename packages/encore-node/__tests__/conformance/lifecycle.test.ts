/** Other environments, readers that leave, and the end of the process. */

import { once } from "node:events";
import http from "node:http";
import { connect } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { converse } from "./converse.js";
import { exchange } from "./exchange.js";
import { FIXTURE, type Host, startHost } from "./host.js";

const APP = path.join(FIXTURE, "../neighbours");

async function until(check: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await check()) return;
    await new Promise((r) => setTimeout(r, 25));
  }
  throw new Error("it did not come to pass");
}

describe("production", () => {
  let recorded: Host;
  let own: Host;
  beforeAll(async () => {
    const env = { ENCORE_NODE_ENV: "production" };
    [recorded, own] = await Promise.all([startHost({ env }), startHost({ app: APP, env })]);
  });
  afterAll(async () => {
    await Promise.all([recorded.stop(), own.stop()]);
  });
  const get = (h: Host, p: string, headers?: Record<string, string>) =>
    exchange(h.url, { method: "GET", path: p, headers });

  it("leaves internal messages out (ENC-1)", async () => {
    for (const p of ["/b/plain-error", "/nope", "/g/me", "/r/throws", "/b/num/x", "/d/bad-sql"]) {
      const got = await get(recorded, p);
      expect(Object.keys(got.body as object).sort(), p).toEqual(["code", "details", "message"]);
    }
  });
  it("hides endpoints that are not exposed, but not from other services (ENC-1)", async () => {
    expect((await get(recorded, "/b/hidden/v")).body).toEqual({
      code: "not_found",
      message: "endpoint not found",
      details: null,
    });
    expect((await get(recorded, "/g/inner", { authorization: "Bearer good" })).status).toBe(404);
    expect((await get(recorded, "/g/chain/v", { authorization: "Bearer good" })).body).toEqual({
      hidden: "hidden v",
      inner: "u1",
    });
    expect(await converse(own.url, { path: "/c/shout?loud=true", sends: [] })).toMatchObject([{ refused: 404 }]);
  });
  it("allows the origins that the app names, by whether credentials are sent (SEC-1)", async () => {
    const allowed = async (headers: Record<string, string>) =>
      (await get(own, "/n/at/x", headers)).headers["access-control-allow-origin"];
    expect(await allowed({ origin: "https://open.example" })).toBe("https://open.example");
    expect(await allowed({ origin: "https://other.example" })).toBeUndefined();
    expect(await allowed({ origin: "https://a.trusted.example", authorization: "x" })).toBe(
      "https://a.trusted.example",
    );
    expect(await allowed({ origin: "https://.trusted.example", cookie: "a=b" })).toBeUndefined();
    expect(await allowed({ origin: "https://open.example", authorization: "x" })).toBeUndefined();
    const headers = {
      origin: "https://a.trusted.example",
      "access-control-request-method": "PUT",
      "access-control-request-headers": "authorization",
    };
    const preflight = await exchange(own.url, { method: "OPTIONS", path: "/n/at/x", headers });
    expect(preflight.headers).toMatchObject({
      "access-control-allow-origin": headers.origin,
      "access-control-allow-methods": "PUT",
    });
    expect(preflight.headers["access-control-allow-headers"]).toMatch(/^x-extra,accept,authorization/);
    expect((await get(own, "/n/at/x")).headers["access-control-expose-headers"]).toMatch(/^x-shown,x-request-id/);
  });
});

describe("readers", () => {
  let host: Host;
  beforeAll(async () => {
    host = await startHost({ app: APP });
  });
  afterAll(async () => {
    await host.stop();
  });
  const read = (p: string): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => http.get(host.url + p, { agent: false }, resolve).on("error", reject));
  const seen = async (p: string): Promise<Record<string, unknown>> =>
    (await exchange(host.url, { method: "GET", path: p })).body as Record<string, unknown>;

  it("tells a raw endpoint that its reader has gone (SSE-1)", async () => {
    const res = await read("/n/gone");
    await once(res, "data");
    expect(await seen("/n/closed")).toEqual({ closes: 0 });
    res.destroy();
    await until(async () => (await seen("/n/closed")).closes === 1);
  });
  it("shows a raw endpoint how far behind its reader is (SSE-1)", async () => {
    const res = await read("/n/backlog");
    await once(res, "readable");
    await until(async () => (await seen("/n/backlog-seen")).needDrain === true);
    expect((await seen("/n/backlog-seen")).waiting).toBeGreaterThanOrEqual(1024 * 1024);
    res.destroy();
  });
  it("cuts an answer whose handler threw after it began (SSE-1)", async () => {
    const res = await read("/n/late");
    let text = "";
    res.on("data", (d: Buffer) => {
      text += d;
    });
    const [error] = (await once(res, "error")) as [NodeJS.ErrnoException];
    expect([text, error.code]).toEqual(["begun ", "ECONNRESET"]);
  });
  it("ends a stream when its handler is done, and sends only what the type has (ENC-1)", async () => {
    const log = await converse(host.url, { path: "/c/early", sends: [] });
    expect(log).toEqual([{ upgrade: 101 }, { message: { text: "one" } }, { close: 1005, reason: "" }]);
  });
  it("drops what is no JSON and goes on (ENC-1)", async () => {
    const log = await converse(host.url, { path: "/c/hold", sends: ["{nope", "[]", { text: "a" }] });
    expect(log.slice(0, 2)).toEqual([{ upgrade: 101 }, { message: { text: "a" } }]);
  });
  it("reads an ordinary request that asks for an upgrade, with its body (ENC-1)", async () => {
    const body = JSON.stringify({ v: "x".repeat(100_000) });
    const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABk" };
    const got = await exchange(host.url, { method: "POST", path: "/n/any", headers, body });
    expect(got.body).toEqual({ type: "string", v: "x".repeat(100_000) });
  });
  it("refuses forbidden headers in the subprotocol (SEC-1)", async () => {
    const encoded = Buffer.from(JSON.stringify({ Cookie: "a=b" })).toString("base64url");
    const log = await converse(host.url, {
      path: "/c/hold",
      protocols: ["encore-ws", `encore.dev.headers.${encoded}`],
      sends: [],
    });
    expect(log).toEqual([{ refused: 400, body: null }]);
  });
});

describe("shutdown", () => {
  it("finishes requests, ends streams, and exits with 0 (DEP-2)", async () => {
    const host = await startHost({ app: APP });
    const agent = new http.Agent({ keepAlive: true });
    const slow = exchange(host.url, { method: "GET", path: "/c/slow/700" });
    const sse: http.IncomingMessage = await new Promise((resolve) =>
      http.get(`${host.url}/n/gone`, { agent }, resolve),
    );
    await once(sse, "data");
    const ws = new WebSocket(`${host.url.replace("http", "ws")}/c/hold`);
    await once(ws, "open");
    const ends = [once(sse, "end"), once(ws, "close")];
    const stopped = host.stop();
    expect((await slow).body).toEqual({ ms: 700 });
    await Promise.all(ends);
    await expect(exchange(host.url, { method: "GET", path: "/c/slow/1" })).rejects.toThrow();
    expect(await stopped).toBe(0);
    expect(host.output()).toContain('"msg":"stopped"');
  });
  it("does not wait for connections that have asked nothing (DEP-2)", async () => {
    const host = await startHost({ app: APP, env: { ENCORE_NODE_DRAIN_MS: "300000" } });
    const socket = connect(Number(new URL(host.url).port), "127.0.0.1");
    await once(socket, "connect");
    await exchange(host.url, { method: "GET", path: "/c/slow/1" }); // by then it has been accepted
    expect(await host.stop()).toBe(0);
    socket.destroy();
  });
  it("cuts what is not done in time (DEP-2)", async () => {
    const host = await startHost({ app: APP, env: { ENCORE_NODE_DRAIN_MS: "300" } });
    const slow = exchange(host.url, { method: "GET", path: "/c/slow/60000" }).catch((e: Error) => e);
    await exchange(host.url, { method: "GET", path: "/c/slow/1" });
    expect(await host.stop()).toBe(0);
    expect(await slow).toBeInstanceOf(Error);
  });
  it("exits at once on a second signal (DEP-2)", async () => {
    const host = await startHost({ app: APP });
    const slow = exchange(host.url, { method: "GET", path: "/c/slow/60000" }).catch(() => null);
    await exchange(host.url, { method: "GET", path: "/c/slow/1" });
    const stopped = host.stop();
    await until(async () => host.output().includes("shutting down"));
    host.process?.kill("SIGTERM");
    expect(await stopped).toBe(130);
    await slow;
  });
  it("says what is wrong when it cannot start (ENC-1)", async () => {
    const unreachable = await startHost({ app: APP, databaseUrl: "postgres://nobody@127.0.0.1:1/none", wait: false });
    const [code] = (await once(unreachable.process as NonNullable<Host["process"]>, "exit")) as [number];
    expect(code).toBe(1);
    expect(unreachable.output()).toContain('encore-node: cannot reach the database "neighbours"');
  });
});
