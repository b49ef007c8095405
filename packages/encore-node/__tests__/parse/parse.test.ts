import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseApp } from "../../src/parse/index.js";
import { endpointOf, metaOf, shop } from "../small-app.js";

const API = 'import { api, Cookie, Gateway, Header, HttpStatus, Query } from "encore.dev/api";\n';

/** The schema of a request's field, from its type as written. */
function schemaOf(type: string, declarations = "") {
  const source = `${API}${declarations}\nexport const a = api({}, async (p: { field: ${type} }): Promise<void> => {});`;
  const meta = metaOf(shop(source));
  return { schema: endpointOf(meta, "a").request?.[0]?.schema, types: meta.types };
}

describe("endpoints (ENC-1)", () => {
  it("fills in Encore's defaults", () => {
    const meta = metaOf(shop(`${API}/** Buys. */\nexport const buy = api({}, async (): Promise<void> => {});`));
    expect(endpointOf(meta, "buy")).toEqual({
      service: "shop",
      name: "buy",
      kind: "typed",
      methods: ["POST"],
      path: [{ kind: "literal", value: "shop.buy" }],
      expose: false,
      auth: false,
      sensitive: false,
      tags: [],
      bodyLimit: 2_097_152,
      doc: "Buys.",
      request: null,
      inbound: null,
      response: null,
      outbound: null,
      source: { file: "shop/shop.ts", line: 3 },
    });
  });

  it("reads options, computed numbers and several methods", () => {
    const meta = metaOf(
      shop(
        `${API}export const a = api({ method: ["POST", "GET"], path: "/a/:id/*rest", expose: true, auth: true, sensitive: true, tags: ["x"], bodyLimit: 10 * 1024 }, async (p: { id: number; rest: string; q?: string }): Promise<void> => {});
export const b = api.raw({ method: "*", path: "/b/!rest", bodyLimit: null }, async (req, resp) => { resp.end(); });`,
      ),
    );
    expect(endpointOf(meta, "a")).toMatchObject({
      methods: ["GET", "POST"],
      path: [
        { kind: "literal", value: "a" },
        { kind: "param", name: "id", type: "number" },
        { kind: "wildcard", name: "rest" },
      ],
      expose: true,
      auth: true,
      sensitive: true,
      tags: ["x"],
      bodyLimit: 10_240,
    });
    expect(endpointOf(meta, "b")).toMatchObject({ kind: "raw", methods: ["*"], bodyLimit: null });
  });

  it("finds places by how a field's type is written, and keeps default names as they are", () => {
    const source = `${API}interface P { id: string; xThing: Header; num?: Header<number, "X-Num">; q: Query<"other">; sid?: Cookie<"sid">; plain: string; either?: Header<"X-A"> | undefined }
interface R { out: Header<"X-Out">; status: HttpStatus; sid: Cookie<"sid">; body: string }
export const a = api({ path: "/a/:id" }, async (p: P): Promise<R> => null as any);`;
    const endpoint = endpointOf(metaOf(shop(source)), "a");
    expect(endpoint.request?.map(({ name, place, optional, schema }) => [name, place, optional, schema.kind])).toEqual([
      ["id", { in: "path", name: "id" }, false, "string"],
      ["xThing", { in: "header", name: "xThing" }, false, "string"],
      ["num", { in: "header", name: "X-Num" }, true, "number"],
      ["q", { in: "query", name: "other" }, false, "string"],
      ["sid", { in: "cookie", name: "sid" }, true, "string"],
      ["plain", { in: "auto", name: "plain" }, false, "string"],
      ["either", { in: "header", name: "X-A" }, true, "string"],
    ]);
    expect(endpoint.response?.map(({ name, place }) => [name, place.in])).toEqual([
      ["out", "header"],
      ["status", "status"],
      ["sid", "cookie"],
      ["body", "body"],
    ]);
    expect(endpoint.responseType).toBe("R");
  });

  it("keeps places through Pick, Omit and Partial", () => {
    const source = `${API}interface P { key: Header<"X-Key">; a: string; b: string }
export const a = api({}, async (p: Partial<Omit<P, "b">>): Promise<void> => {});`;
    expect(endpointOf(metaOf(shop(source)), "a").request).toMatchObject([
      { name: "key", optional: true, place: { in: "header", name: "X-Key" } },
      { name: "a", optional: true, place: { in: "auto", name: "a" } },
    ]);
  });

  it("reads streams with and without a handshake", () => {
    const source = `${API}interface H { q: Query } interface In { a: string } interface Out { b: string }
export const both = api.streamInOut<H, In, Out>({ path: "/both" }, async (h, stream) => {});
export const into = api.streamIn<In, Out>({ path: "/into" }, async (stream) => null as any);
export const out = api.streamOut<Out>({ path: "/out" }, async (stream) => {});`;
    const meta = metaOf(shop(source));
    const refs = { inbound: { kind: "ref", name: "In" }, outbound: { kind: "ref", name: "Out" } };
    expect(endpointOf(meta, "both")).toMatchObject({ kind: "streamInOut", methods: ["GET"], ...refs });
    expect(endpointOf(meta, "both").request).toHaveLength(1);
    expect(endpointOf(meta, "into")).toMatchObject({ kind: "streamIn", request: null, ...refs });
    expect(endpointOf(meta, "out")).toMatchObject({ kind: "streamOut", inbound: null, outbound: refs.outbound });
  });
});

describe("other ways to write the same (ENC-1)", () => {
  it("reads aliases, namespaces, function expressions, type arguments and composed types", () => {
    const source = `import * as enc from "encore.dev/api";
import { api as endpoint, Cookie, Header, Query } from "encore.dev/api";
import type { Min } from "encore.dev/validate";
interface Base { key: Header<"X-Base">; at?: Header<Date> }
interface P extends Base { ids: Query<string[], "ids">; limit?: Query<number> & Min<1>; flag: Header<boolean, "X-Flag"> | undefined; n?: Cookie<number, "n"> }
export const one = endpoint({ path: "/one/:id" }, async function ({ id }: P & { id: boolean }): Promise<void> {});
export const two = enc.api<{ a: string }, { b: string }>({ path: "/two" }, async (req) => ({ b: req.a }));
export const three = endpoint.streamIn<{ id: number }, { v: number }>({ path: "/in/:id" } as const, async (h, stream): Promise<{ total: number }> => ({ total: 1 }));`;
    const meta = metaOf(shop(source));
    const fields = endpointOf(meta, "one").request?.map(({ place, optional, schema }) => [place, optional, schema]);
    expect(fields).toEqual([
      [{ in: "query", name: "ids" }, false, { kind: "array", items: { kind: "string" } }],
      [{ in: "query", name: "limit" }, true, { kind: "number", rules: { op: "min", value: 1 } }],
      [{ in: "header", name: "X-Flag" }, true, { kind: "boolean" }],
      [{ in: "cookie", name: "n" }, true, { kind: "number" }],
      [{ in: "header", name: "X-Base" }, false, { kind: "string" }],
      [{ in: "header", name: "at" }, true, { kind: "date" }],
      [{ in: "path", name: "id" }, false, { kind: "boolean" }],
    ]);
    expect(endpointOf(meta, "two")).toMatchObject({ request: [{ name: "a" }], response: [{ name: "b" }] });
    expect(endpointOf(meta, "three")).toMatchObject({
      path: [{}, { name: "id", type: "number" }],
      inbound: { fields: [{ name: "v" }] },
      outbound: { fields: [{ name: "total" }] },
    });
  });
});

describe("types (ENC-1)", () => {
  it.each([
    ["string", { kind: "string" }],
    ["bigint", { kind: "bigint" }],
    ["Date", { kind: "date" }],
    ["unknown", { kind: "any" }],
    ["boolean", { kind: "boolean" }],
    ["boolean | null", { kind: "union", variants: [{ kind: "boolean" }, { kind: "null" }] }],
    ["number | string", { kind: "union", variants: [{ kind: "number" }, { kind: "string" }] }],
    [
      '"y" | "x"',
      {
        kind: "union",
        variants: [
          { kind: "literal", value: "y" },
          { kind: "literal", value: "x" },
        ],
      },
    ],
    ["string[][]", { kind: "array", items: { kind: "array", items: { kind: "string" } } }],
    ["readonly string[]", { kind: "array", items: { kind: "string" } }],
    ["Record<string, number[]>", { kind: "record", value: { kind: "array", items: { kind: "number" } } }],
    ["{ [key: string]: any }", { kind: "record", value: { kind: "any" } }],
    ["true", { kind: "literal", value: true }],
    ["string & {}", { kind: "string" }],
    ["NonNullable<string | null>", { kind: "string" }],
    [
      '{ [K in "a"]?: number }',
      { kind: "object", fields: [{ name: "a", optional: true, doc: "", schema: { kind: "number" } }] },
    ],
    [
      '("a" | "b") | (null | 1)',
      {
        kind: "union",
        variants: ["a", "b", null, 1].map((value) => (value === null ? { kind: "null" } : { kind: "literal", value })),
      },
    ],
  ])("%s", (type, schema) => {
    expect(schemaOf(type).schema).toEqual(schema);
  });

  it("reads validation through aliases, '&' and '|'", () => {
    const declarations =
      'import { EndsWith, IsEmail, MaxLen, MinLen, StartsWith } from "encore.dev/validate";\ntype Email = string & IsEmail;';
    expect(schemaOf('string & (StartsWith<"x-"> | EndsWith<"-y">) | null', declarations).schema).toEqual({
      kind: "union",
      variants: [
        {
          kind: "string",
          rules: {
            op: "or",
            rules: [
              { op: "startsWith", value: "x-" },
              { op: "endsWith", value: "-y" },
            ],
          },
        },
        { kind: "null" },
      ],
    });
    expect(schemaOf("string[] & MinLen<1> & MaxLen<3>", declarations).schema).toEqual({
      kind: "array",
      items: { kind: "string" },
      rules: {
        op: "and",
        rules: [
          { op: "minLen", value: 1 },
          { op: "maxLen", value: 3 },
        ],
      },
    });
    const { schema, types } = schemaOf("Email", declarations);
    expect(schema).toEqual({ kind: "ref", name: "Email" });
    expect(types.Email?.schema).toEqual({ kind: "string", rules: { op: "email" } });
  });

  it("keeps names, also of optional unions, enums and recursive types", () => {
    const declarations = `enum Color { Red = "red", Blue = "blue" }
/** A node. */
interface Node { value: Kind; children: Node[]; color?: Color | null }
type Kind = "b" | "a";`;
    const { types } = schemaOf("Node", declarations);
    expect(types).toEqual({
      Color: {
        doc: "",
        schema: {
          kind: "union",
          variants: [
            { kind: "literal", value: "red" },
            { kind: "literal", value: "blue" },
          ],
        },
      },
      Kind: {
        doc: "",
        schema: {
          kind: "union",
          variants: [
            { kind: "literal", value: "b" },
            { kind: "literal", value: "a" },
          ],
        },
      },
      Node: {
        doc: "A node.",
        schema: {
          kind: "object",
          fields: [
            { name: "value", optional: false, doc: "", schema: { kind: "ref", name: "Kind" } },
            {
              name: "children",
              optional: false,
              doc: "",
              schema: { kind: "array", items: { kind: "ref", name: "Node" } },
            },
            {
              name: "color",
              optional: true,
              doc: "",
              schema: { kind: "union", variants: [{ kind: "ref", name: "Color" }, { kind: "null" }] },
            },
          ],
        },
      },
    });
  });

  it("knows Decimal, and types that contain themselves without an interface", () => {
    const declarations =
      'import { Decimal } from "encore.dev/types";\ntype Json = string | number | null | Json[] | { [key: string]: Json };';
    expect(schemaOf("Decimal", declarations).schema).toEqual({ kind: "decimal" });
    const json = { kind: "ref", name: "Json" };
    expect(schemaOf("Json", declarations).types.Json?.schema).toEqual({
      kind: "union",
      variants: [
        { kind: "string" },
        { kind: "number" },
        { kind: "null" },
        { kind: "array", items: json },
        { kind: "record", value: json },
      ],
    });
  });

  it("gives each use of a generic its own name, and the second of two types its folder's", () => {
    const meta = metaOf({
      ...shop(
        `${API}import type { Thing as Other } from "../lib/thing";\ninterface Thing { a: string }\ninterface Page<T> { items: T[]; next: string | null }
export const a = api({}, async (p: { other: Other }): Promise<{ things: Page<Thing>; names: Page<string> }> => null as any);`,
      ),
      "lib/thing.ts": "export interface Thing { b: string }",
    });
    expect(Object.keys(meta.types).sort()).toEqual(["Page_ShopThing", "Page_string", "ShopThing", "Thing"]);
    expect(meta.types.Page_ShopThing?.schema).toMatchObject({
      fields: [{ schema: { items: { name: "ShopThing" } } }, {}],
    });
  });

  it("loads packages when a type comes from one", () => {
    const source = `${API}import type { Options } from "tiny";\nexport const a = api({}, async (p: { options: Options }): Promise<void> => {});`;
    const tiny = {
      "node_modules/tiny/package.json": '{"name":"tiny","types":"index.d.ts"}',
      "node_modules/tiny/index.d.ts": "export interface Options { deep: boolean }",
    };
    const meta = metaOf(shop(source, tiny));
    expect(meta.types.Options?.schema).toMatchObject({ fields: [{ name: "deep", schema: { kind: "boolean" } }] });
  });
});

describe("the rest of an app (ENC-1)", () => {
  it("reads gateway, auth handler, databases, secrets and CORS", () => {
    const meta = metaOf(
      shop(
        `${API}import { authHandler } from "encore.dev/auth";
import { secret } from "encore.dev/config";
import { SQLDatabase } from "encore.dev/storage/sqldb";
const key = secret("Key"), other = secret("Another");
export const db = new SQLDatabase("main", { migrations: "../db/migrations" });
export const same = SQLDatabase.named("main");
interface Params { authorization?: Header<"Authorization">; token?: Query<"token"> }
interface AuthData { userID: string }
const auth = authHandler<Params, AuthData>(async () => ({ userID: "u" }));
export { auth };
export const gateway = new Gateway({ authHandler: auth });`,
        {
          "db/migrations/1_a.up.sql": "",
          "db/migrations/1_a.down.sql": "",
          "encore.app":
            '{ "id": "x", // the id\n "global_cors": { "allow_origins_with_credentials": ["https://x.example"], }, }',
        },
      ),
    );
    expect(meta).toMatchObject({
      appId: "x",
      services: [{ name: "shop", dir: "shop", middlewares: 0 }],
      databases: [{ name: "main", migrations: "db/migrations" }],
      secrets: ["Another", "Key"],
      cors: { allowOriginsWithCredentials: ["https://x.example"] },
      gateway: {
        name: "gateway",
        authHandler: {
          name: "auth",
          service: "shop",
          params: [{ place: { in: "header" } }, { place: { in: "query" } }],
          authData: { name: "AuthData" },
        },
      },
    });
  });

  it("makes a service of a folder with endpoints, and leaves out what Encore leaves out", () => {
    const endpoint = (name: string) => `${API}export const ${name} = api({}, async (): Promise<void> => {});`;
    const meta = metaOf({
      "top/mid/a.ts": endpoint("a"),
      "top/mid/deep/b.ts": endpoint("b"),
      "top/__tests__/c.ts": endpoint("c"),
      "top/d.test.ts": endpoint("d"),
      ".hidden/e.ts": endpoint("e"),
      "node_modules/f/f.ts": endpoint("f"),
    });
    expect(meta.endpoints.map(({ service, name }) => `${service}.${name}`)).toEqual(["mid.a", "mid.b"]);
  });

  it("describes the conformance app as recorded", async () => {
    const { meta, problems } = parseApp(path.join(import.meta.dirname, "../../fixtures/conformance/app"));
    expect(problems).toEqual([]);
    await expect(`${JSON.stringify(meta, null, 2)}\n`).toMatchFileSnapshot("./conformance.meta.gen.json");
  });
});
