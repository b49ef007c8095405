/** Every recorded request gets the recorded answer (ENC-1). */

import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exchange, expandBody } from "./exchange.js";
import { FIXTURE, type Host, recordedApp } from "./host.js";

interface Recording {
  name: string;
  request: { method: string; path: string; headers?: Record<string, string> | null; body?: string | null };
  status: number;
  headers: Record<string, string | string[]>;
  body: unknown;
  note?: string;
}

const recordings = JSON.parse(readFileSync(path.join(FIXTURE, "http.json"), "utf8")) as Recording[];

/** Headers whose lists come in the order of a hash map. */
const UNORDERED = new Set(["access-control-allow-headers", "access-control-expose-headers", "vary"]);

function comparable(name: string, value: string | string[]): unknown {
  if (UNORDERED.has(name)) return [...new Set(String(value).split(/,\s*/))].sort();
  return value;
}

/** Missing fields are listed in the order of a hash map too. */
function sentence(message: unknown): unknown {
  if (typeof message !== "string") return message;
  return message.replace(/missing fields (.*?)(?= at line|$)/, (_all, list: string) => {
    const names = [...list.matchAll(/`([^`]+)`/g)].map((m) => m[1]);
    return `missing fields ${names.sort().join(" ")}`;
  });
}

function body(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("message" in value)) return value;
  return { ...value, message: sentence(value.message) };
}

describe("recorded requests", () => {
  let host: Host;
  beforeAll(async () => {
    host = await recordedApp();
  });
  afterAll(async () => {
    await host.stop();
  });

  it.each(recordings)("answers $name as recorded (ENC-1)", async (r) => {
    const got = await exchange(host.url, { ...r.request, body: expandBody(r.request.body) });
    expect(got.status).toBe(r.status);
    for (const [name, value] of Object.entries(r.headers)) {
      expect([name, comparable(name, got.headers[name] ?? "(absent)")]).toEqual([name, comparable(name, value)]);
    }
    if (!("content-type" in r.headers)) expect(got.headers["content-type"]).toBeUndefined();
    if (r.note) {
      const { internal_message: text } = got.body as { internal_message: string };
      expect(text).toContain("E23505");
      expect(text).toContain("things_name_key");
      return;
    }
    expect(body(got.body)).toEqual(body(r.body));
  });
});
