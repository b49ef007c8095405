import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { ASYNCAPI_FILE, makeAsyncApi } from "./asyncapi";

interface Message {
  name: string;
  summary: string;
  payload: { $ref: string };
  examples: { payload: unknown }[];
}

const stored = readFileSync(ASYNCAPI_FILE, "utf8");
const document = JSON.parse(stored) as { components: { messages: Record<string, Message> } };

describe("the description of the WebSocket", () => {
  it("is as old as the types it is made of; `npm run asyncapi` makes it anew (WS-1, DEP-2)", () => {
    expect(JSON.parse(JSON.stringify(makeAsyncApi()))).toEqual(JSON.parse(stored));
  });

  it("is AsyncAPI 3, by AsyncAPI's own schema (WS-1, DEP-2)", () => {
    const require = createRequire(import.meta.url);
    const schema = require("@asyncapi/specs/schemas/3.0.0.json") as object;
    const ajv = new Ajv({ strict: false, unicodeRegExp: false, meta: false, validateSchema: false }); // it brings draft 7 along
    addFormats.default(ajv);
    const check = ajv.compile(schema);
    expect([check(document), check.errors]).toEqual([true, null]);
    expect(check({ ...document, operations: { broken: { action: "shout" } } })).toBe(false);
  });

  it("explains every message, and its examples are such messages (WS-1, DEP-4)", () => {
    const ajv = new Ajv({ strict: false, schemas: { asyncapi: document } });
    const messages = Object.entries(document.components.messages);
    expect(messages.length).toBeGreaterThan(15);
    for (const [name, { summary, payload, examples }] of messages) {
      expect([name, summary]).not.toEqual([name, ""]);
      const check = ajv.getSchema(`asyncapi${payload.$ref}`);
      for (const example of examples)
        expect([name, check?.(example.payload), check?.errors]).toEqual([name, true, null]);
      expect([name, check?.({})]).toEqual([name, false]);
    }
  });
});
