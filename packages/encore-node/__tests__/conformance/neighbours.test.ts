/** Rules next to the recorded ones, derived from Encore's sources (SPEC.md names them), on an app of our own. */

import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exchange, type Got } from "./exchange.js";
import { FIXTURE, type Host, startHost } from "./host.js";

const APP = path.join(FIXTURE, "../neighbours");
let host: Host;
beforeAll(async () => {
  host = await startHost({ app: APP });
});
afterAll(async () => {
  await host.stop();
});

const get = (p: string, headers?: Record<string, string>): Promise<Got> =>
  exchange(host.url, { method: "GET", path: p, headers });
const post = (p: string, body: unknown): Promise<Got> =>
  exchange(host.url, { method: "POST", path: p, body: typeof body === "string" ? body : JSON.stringify(body) });

describe("request bodies", () => {
  const prefix = "unable to decode request body: ";
  it.each([
    ['{"n":0.4}', "n: value must be at least 0.5 (got 0.4) at line 1 column 8"],
    ['{"n":11}', "n: value must be at most 10 (got 11) at line 1 column 7"],
    ['{"word":"a1"}', 'word: value does not match the regexp "^(?i)[a-z]+$" at line 1 column 12'],
    ['{"list":["ab","c"]}', "list[1]: length too short (got 1, expected at least 2) at line 1 column 17"],
    ['{"money":"x"}', "money: invalid decimal: Failed to parse decimal from string: x at line 1 column 12"],
    ['{"money":1}', "money: invalid type: integer `1`, expected a decimal at line 1 column 10"],
    ['{"n":1,}', "trailing comma at line 1 column 8"],
    ['{"n":01}', "n: invalid number at line 1 column 7"],
    ['{"n":1', "EOF while parsing an object at line 1 column 6"],
    ['{\n  "n": tru}', "n: expected ident at line 2 column 11"],
    ['{"n":1e400}', "n: number out of range at line 1 column 10"],
    ['"é"', 'invalid type: string "é", expected a JSON object at line 1 column 4'],
    ['{"list":{}}', "list: invalid type: map, expected a JSON array at line 1 column 10"],
    ['{"n":1.5.2}', "expected `,` or `}` at line 1 column 9"],
  ])("refuses %s in serde's words (ENC-1)", async (body, message) => {
    const got = await post("/n/rules", body);
    expect(got.status).toBe(400);
    expect(got.body).toMatchObject({ code: "invalid_argument", message: prefix + message });
  });

  it("compares an integer with the bound cut to an integer, and ignores what follows the value (ENC-1)", async () => {
    expect((await post("/n/rules", '{"n":0} and more')).status).toBe(200);
  });

  it("reads decimals exactly (ENC-1)", async () => {
    expect((await post("/n/rules", { money: "1.50" })).body).toEqual({ money: "1.5", sum: "1.6" });
  });

  it("takes the first variant of a union that fits, with dates made of its strings (ENC-1)", async () => {
    const got = await post("/n/union", {
      what: { shape: "box", sides: [1], made: "2026-01-02T03:04:05Z", more: 1 },
      level: true,
    });
    expect(got.body).toEqual({
      got: { what: { shape: "box", sides: [1], made: "2026-01-02T03:04:05Z" }, level: true },
      made: true,
    });
    const bad = await post("/n/union", { what: { shape: "box" } });
    expect(bad.body).toMatchObject({
      message: `${prefix}what: invalid type: map, expected a JSON object or a JSON object at line 1 column 23`,
    });
    const level = await post("/n/union", { what: { shape: "circle", radius: 1 }, level: 3 });
    expect((level.body as { message: string }).message).toContain('expected 1, 2, "three", or true');
  });

  it("reads recursive types 127 deep and refuses more without a crash (ENC-1)", async () => {
    const nest = (n: number): string => `${'{"name":"x","children":['.repeat(n)}{"name":"x"}${"]}".repeat(n)}`;
    expect((await post("/n/tree", nest(60))).body).toEqual({ keys: ["children", "name"], depth: 61 });
    const deep = await post("/n/tree", nest(5000));
    expect((deep.body as { message: string }).message).toContain("recursion limit exceeded");
    expect((await post("/n/any", `{"other":${"[".repeat(20_000)}${"]".repeat(20_000)},"v":1}`)).status).toBe(200);
  });

  it("orders unknown objects by key and keeps numbers beyond 2^53 (ENC-1)", async () => {
    const got = await post("/n/any", '{"v":{"b":1,"a":18446744073709551615,"a":2}}');
    expect(got.text).toBe('{"type":"object","v":{"a":2,"b":1}}');
    expect((await post("/n/any", '{"v":9007199254740993}')).body).toEqual({ type: "bigint", v: "9007199254740993" });
  });

  it("refuses a body over the limit, and reads on so that the answer arrives (SEC-4)", async () => {
    const got = await post("/n/small", { v: "x".repeat(3_000_000) });
    const cause = "length limit exceeded";
    expect(got.body).toMatchObject({ message: `unable to read request body: ${cause}\n\nCaused by:\n    ${cause}` });
  });

  it("refuses bytes that are no UTF-8 (ENC-1)", async () => {
    const body = Buffer.concat([Buffer.from('{"word":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    const got = await exchange(host.url, { method: "POST", path: "/n/rules", body });
    expect((got.body as { message: string }).message).toContain("word: invalid unicode code point");
  });
});

describe("queries, headers, cookies", () => {
  it("collects lists by repetition and makes values of text (ENC-1)", async () => {
    const got = await get("/n/query?ns=1&ns=2.5&flags=true&level=2&at=2026-01-02T03:04:05Z&ns=inf");
    expect(got.body).toEqual({ got: { ns: [1, 2.5, null], flags: [true], level: 2, at: ["2026-01-02T03:04:05Z"] } });
  });
  it.each([
    ["short=abcd", "short: length too long (got 4, expected at most 3)"],
    ["ns=x", "ns: expected a number, got x"],
    ["flags=1", "flags: expected a boolean, got 1"],
    ["level=3", 'level: invalid type: string "3", expected 1 or 2'],
    ["level=1&level=2", "duplicate field level"],
  ])("refuses ?%s (ENC-1)", async (query, message) => {
    expect((await get(`/n/query?${query}`)).body).toMatchObject({
      message: `unable to decode query string: ${message}`,
    });
  });
  it("reads and writes typed headers and cookies (ENC-1)", async () => {
    const got = await get("/n/headers", {
      "x-at": "2026-01-02T03:04:05.5+01:00",
      "x-on": "true",
      cookie: "a=b; sid=5",
    });
    expect(got.headers).toMatchObject({
      "x-at": "2026-01-02T02:04:05.500+00:00",
      "x-n": "5000000000.0",
      "x-flag": "true",
    });
    expect(JSON.parse((got.body as { seen: string }).seen)).toEqual({
      at: "2026-01-02T02:04:05.500Z",
      on: true,
      sid: { name: "sid", value: 5 },
    });
  });
  it.each([
    [{ "x-at": "nope" }, "invalid datetime"],
    [{ "x-on": "yes" }, "invalid boolean value: yes"],
    [{ cookie: "sid=x" }, "invalid number value: x"],
  ])("refuses %o (ENC-1)", async (headers, message) => {
    expect((await get("/n/headers", headers as Record<string, string>)).body).toMatchObject({
      code: "invalid_argument",
      message,
    });
  });
  it("carries header values as UTF-8 both ways (ENC-1)", async () => {
    const got = await get("/n/headers", { "x-text": Buffer.from("é").toString("latin1") });
    expect(Buffer.from(String(got.headers["x-text"]), "latin1").toString("utf8")).toBe("é");
    expect((got.body as { seen: string }).seen).toContain('"text":"é"');
  });
  it("writes cookies with their attributes in Encore's order (ENC-1)", async () => {
    expect((await get("/n/cookies")).headers["set-cookie"]).toEqual([
      "a=v; Secure; Domain=example.com; Expires=Fri, 02 Jan 2026 03:04:05 GMT",
      "b=7; SameSite=None; Secure; Max-Age=0",
    ]);
  });
});

describe("answers", () => {
  it.each([
    ["bigint", { v: "12345678901234567890" }],
    ["decimal", { v: "1.5" }],
    ["date", { v: "2026-01-02T03:04:05.120Z" }],
    ["text", { v: 'a"b\\c\u0001é😀\ufffd' }],
  ])("sends %s as Encore does, and no field that the type lacks (ENC-1)", async (kind, body) => {
    expect((await get(`/n/answers/${kind}`)).body).toEqual(body);
  });
  it.each([
    ["undefinedInList", "InvalidArg, undefined cannot be represented as a serde_json::Value"],
    ["function", "InvalidArg, JS functions cannot be represented as a serde_json::Value"],
    ["circle", "InvalidArg, value exceeds the maximum nesting depth of 128; does it contain a circular reference?"],
    ["infinity", "InvalidArg, Failed to convert js number to serde_json::Number"],
  ])("fails on %s (ENC-1)", async (kind, internal) => {
    const got = await get(`/n/answers/${kind}`);
    expect(got.status).toBe(500);
    expect(got.body).toMatchObject({ code: "internal", internal_message: internal });
  });
  it("refuses a status that is none (ENC-1)", async () => {
    const message = "invalid http status code: HTTP status field 'code' must be a between 100 and 599, got: 999";
    expect((await get("/n/answers/status")).body).toMatchObject({ code: "invalid_argument", message });
  });
  it("sends an empty object where a typed handler returns nothing (ENC-1)", async () => {
    expect((await get("/n/undefined")).text).toBe("{}");
    expect((await get("/n/no-object")).body).toMatchObject({
      internal_message: "InvalidArg, Expect value to be Object, but received String",
    });
    expect((await get("/n/throws-null")).body).toMatchObject({ internal_message: "an unknown exception was thrown" });
  });
  it("sends the details of an error as values are sent (ENC-1)", async () => {
    expect((await get("/n/details")).body).toMatchObject({
      code: "not_found",
      details: { at: "1970-01-01T00:00:00Z", big: "1" },
    });
  });
  it("runs middlewares in order, with headers, status and data (ENC-1)", async () => {
    const got = await get("/n/layered");
    expect([got.status, got.headers["x-order"], got.body]).toEqual([
      207,
      "inner, outer",
      { data: { seen: "by inner" } },
    ]);
  });
  it("answers HEAD where the endpoint has it, else 404 (ENC-1)", async () => {
    const head = (p: string): Promise<Got> => exchange(host.url, { method: "HEAD", path: p });
    expect((await head("/n/head")).status).toBe(200);
    expect((await head("/n/layered")).status).toBe(404);
  });
});

describe("routes", () => {
  it.each([
    ["/n/at/literal", "literal"],
    ["/n/at/other", "param other"],
    ["/n/at/literal/deeper", "deeper"],
    ["/n/at/literal/other", "other literal"],
  ])("matches %s as %s: literals first, then parameters, with a way back (ENC-1)", async (p, at) => {
    expect((await get(p)).body).toEqual({ at });
  });
  it("takes the fallback last, and only with its method (ENC-1)", async () => {
    expect((await get("/nowhere/at/all?x=1")).text).toBe("fallback /nowhere/at/all?x=1");
    expect((await post("/nowhere", "")).body).toMatchObject({ message: "no route for method" });
  });
  it("refuses methods that HTTP does not have (ENC-1)", async () => {
    const got = await exchange(host.url, { method: "PROPFIND", path: "/n/head" });
    expect(got.body).toMatchObject({
      code: "invalid_argument",
      message: "invalid method",
      internal_message: "invalid method: PROPFIND",
    });
  });
});

describe("auth and calls", () => {
  it("hands auth data over by its type (ENC-1)", async () => {
    expect((await get("/c/who", { "x-key": "u5" })).body).toEqual({ keys: ["since", "userID"], since: "Date" });
  });
  it.each([
    ["null", "auth handler returned null"],
    ["anonymous", "auth handler did not return a userID field"],
  ])("refuses what is no user: %s (ENC-1)", async (key, internal) => {
    const got = await get("/c/who", { "x-key": key });
    expect(got.status).toBe(401);
    expect(got.body).toMatchObject({ message: "unauthenticated", internal_message: internal });
  });
  it("calls another endpoint with copies, by type, in a context of its own (ENC-1)", async () => {
    const got = await get("/c/caller");
    expect(got.body).toMatchObject({
      got: { id: "a/b c", at: "2026-01-02T03:04:05.678Z", kind: "Date", trace: "t", tags: ["x"], user: null },
      shared: false,
      context: "caller",
      keys: ["at", "id", "kind", "tags", "trace", "user"],
    });
  });
  it("refuses a call that does not fit, as over the wire (ENC-1)", async () => {
    expect((await get("/c/wrong")).body).toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("at: invalid datetime"),
    });
  });
  it("carries the caller's user along, or the one that the caller names (ENC-1)", async () => {
    expect((await get("/c/caller", { "x-key": "u7" })).body).toMatchObject({ got: { user: "u7" } });
    expect((await get("/c/as-other", { "x-key": "u7" })).body).toEqual({ user: "u9" });
  });
  it("streams between services (ENC-1)", async () => {
    expect((await get("/c/relay")).body).toEqual({ heard: ["A", "B"] });
  });
});
