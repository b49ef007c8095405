import path from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { buildOpenApi, documentInfo } from "../../src/gen/openapi/index.js";
import { parseApp } from "../../src/parse/index.js";
import { metaOf, shop } from "../small-app.js";

const API = 'import { api, Gateway, Header, Query } from "encore.dev/api";\n';
const INFO = { title: "Test", version: "1.0.0" };

interface Operation {
  operationId: string;
  summary?: string;
  security: unknown[];
  parameters: { name: string; in: string; required: boolean; example?: unknown }[];
  requestBody?: { content: Record<string, { schema: { $ref: string }; example: unknown }> };
  responses: Record<
    string,
    { description?: string; content?: Record<string, { schema: unknown; example?: unknown }>; $ref?: string }
  >;
  "x-encore-stream"?: unknown;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Record<string, unknown>>; securitySchemes?: unknown };
}

function documentOf(source: string): Document {
  return buildOpenApi(metaOf(shop(API + source)), INFO) as unknown as Document;
}

describe("OpenAPI (DEP-2)", () => {
  it("describes the conformance app in a valid document, twice the same", async () => {
    const root = path.join(import.meta.dirname, "../../fixtures/conformance/app");
    const { meta } = parseApp(root);
    const document = buildOpenApi(meta, documentInfo(root, meta));
    expect(await new Validator().validate(structuredClone(document))).toEqual({ valid: true });
    expect(JSON.stringify(buildOpenApi(parseApp(root).meta, documentInfo(root, meta)))).toBe(JSON.stringify(document));
  });

  it("shows no example that does not fit its schema", () => {
    const root = path.join(import.meta.dirname, "../../fixtures/conformance/app");
    const document = buildOpenApi(parseApp(root).meta, INFO);
    const ajv = new Ajv2020({ strict: false });
    formats.default(ajv);
    ajv.addSchema({ $id: "document", ...document });
    const misfits: unknown[] = [];
    let shown = 0;
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      if ("schema" in value && "example" in value) {
        const schema = JSON.parse(JSON.stringify(value.schema).replaceAll('"#/', '"document#/'));
        shown++;
        if (!ajv.validate(schema, value.example)) misfits.push([value.example, ajv.errorsText()]);
      }
      for (const inner of Object.values(value)) visit(inner);
    };
    visit(document.paths);
    expect(misfits).toEqual([]);
    expect(shown).toBeGreaterThan(90);
  });

  it("has every exposed endpoint, and none that is hidden or internal", () => {
    const { paths } = documentOf(`
export const a = api({ expose: true, method: "GET", path: "/a/:id/*rest" }, async (p: { id: string; rest: string }): Promise<void> => {});
export const b = api({ path: "/b" }, async (): Promise<void> => {});
export const c = api({ expose: true, path: "/c", tags: ["internal"] }, async (): Promise<void> => {});
export const d = api({ expose: true, path: "/d", method: ["GET", "PUT"] }, async (p: { x?: string }): Promise<void> => {});`);
    expect(Object.keys(paths)).toEqual(["/a/{id}/{rest}", "/d"]);
    expect(Object.values(paths["/d"] ?? {}).map((operation) => operation.operationId)).toEqual(["d_get", "d_put"]);
    expect(paths["/d"]?.get?.parameters).toMatchObject([{ name: "x", in: "query", required: false }]);
    expect(paths["/d"]?.put?.requestBody?.content["application/json"]?.schema).toEqual({
      $ref: "#/components/schemas/DRequest",
    });
  });

  it("gives bodies, parameters and answers examples that fit, and the written ones where there are any", () => {
    const { paths, components } = documentOf(`import { MaxLen, MinLen, StartsWith } from "encore.dev/validate";
interface Item { /** @example "item_1" */ id: string; next?: Item; code: string & MinLen<5>; at: Date; kind: "x" | "y" | null }
interface Req { ref: string & StartsWith<"r-">; /** How many. */ count: number; key: Header<"X-Key"> }
/**
 * Adds an item. More about it.
 * @throws already_exists When it is there.
 * @deprecated
 */
export const add = api({ expose: true, path: "/add" }, async (p: Req): Promise<Item> => null as any);
/**
 * Other.
 * @example request { "ref": "r-own", "count": 5 }
 */
export const other = api({ expose: true, path: "/other" }, async (p: Req): Promise<Item> => null as any);`);
    const add = paths["/add"]?.post;
    expect(add).toMatchObject({
      summary: "Adds an item",
      description: "Adds an item. More about it.",
      deprecated: true,
    });
    expect(add?.requestBody?.content["application/json"]?.example).toEqual({ ref: "r-ref", count: 1 });
    expect(add?.parameters).toMatchObject([{ name: "X-Key", in: "header", required: true, example: "key" }]);
    expect(add?.responses["200"]?.content?.["application/json"]).toEqual({
      schema: { $ref: "#/components/schemas/Item" },
      example: { id: "item_1", code: "codec", at: "2026-01-02T03:04:05.678Z", kind: "x" },
    });
    expect(add?.responses["409"]).toEqual({
      $ref: "#/components/responses/Error409",
      description: "`already_exists`: When it is there.",
    });
    expect(paths["/other"]?.post?.requestBody?.content["application/json"]?.example).toEqual({
      ref: "r-own",
      count: 5,
    });
    expect(components.schemas.AddRequest).toMatchObject({
      properties: { count: { type: "number", description: "How many." }, ref: { pattern: "^r-" } },
    });
    expect(components.schemas.Item).toMatchObject({
      properties: { kind: { enum: ["x", "y", null] }, next: { $ref: "#/components/schemas/Item" } },
    });
  });

  it("lists every error of Encore's for every endpoint", () => {
    const { paths, components } = documentOf(
      'export const a = api({ expose: true, path: "/a" }, async (): Promise<void> => {});',
    );
    const statuses = ["400", "401", "403", "404", "409", "429", "499", "500", "501", "503", "504"];
    expect(Object.keys(paths["/a"]?.post?.responses ?? {})).toEqual(["200", ...statuses]);
    expect(components.schemas.APIError?.required).toEqual(["code", "message", "details"]);
  });

  it("knows ways to sign in from the auth handler's fields", () => {
    const { paths, components } = documentOf(`import { authHandler } from "encore.dev/auth";
interface P { /** A key. */ authorization?: Header<"Authorization">; token?: Query<"token"> }
export const auth = authHandler<P, { userID: string }>(async () => ({ userID: "u" }));
export const gateway = new Gateway({ authHandler: auth });
export const a = api({ expose: true, auth: true, path: "/a" }, async (): Promise<void> => {});
export const b = api({ expose: true, path: "/b" }, async (): Promise<void> => {});`);
    expect(components.securitySchemes).toEqual({
      authorization: { type: "http", scheme: "bearer", description: "A key." },
      token: { type: "apiKey", in: "query", name: "token" },
    });
    expect(paths["/a"]?.post?.security).toEqual([{ authorization: [] }, { token: [] }]);
    expect(paths["/b"]?.post?.security).toEqual([{}, { authorization: [] }, { token: [] }]);
  });

  it("describes streams as upgrades, and raw endpoints by their tags", () => {
    const { paths } = documentOf(`interface Msg { text: string }
export const chat = api.streamInOut<Msg, Msg>({ expose: true, path: "/chat" }, async (stream) => {});
/**
 * Streams.
 * @openapi-query cursor Where to go on.
 * @openapi-header Last-Event-ID! The same.
 * @openapi-request application/json {Msg} What to say.
 * @openapi-response text/event-stream Events.
 * \`\`\`
 * data: 1
 * \`\`\`
 * @openapi-response 204
 */
export const events = api.raw({ expose: true, method: "POST", path: "/events/:id" }, async (req, resp) => { resp.end(); });`);
    const message = { schema: { $ref: "#/components/schemas/Msg" }, example: { text: "Hello" } };
    expect(paths["/chat"]?.get?.["x-encore-stream"]).toEqual({
      direction: "inout",
      inbound: message,
      outbound: message,
    });
    expect(paths["/chat"]?.get?.responses["101"]).toBeDefined();
    const events = paths["/events/{id}"]?.post;
    expect(events?.parameters.map(({ name, in: place, required }) => [name, place, required])).toEqual([
      ["id", "path", true],
      ["cursor", "query", false],
      ["Last-Event-ID", "header", true],
    ]);
    expect(events?.requestBody?.content["application/json"]).toEqual(message);
    expect(events?.responses["200"]).toEqual({
      description: "Events.",
      content: { "text/event-stream": { schema: { type: "string" }, example: "data: 1" } },
    });
    expect(events?.responses["204"]).toEqual({ description: "No body." });
  });

  it("knows the types that a raw endpoint's tags name in its file, and headers of its answer", () => {
    const { paths, components } = documentOf(`interface Taken { rows: number }
/**
 * Takes lines.
 * @openapi-response 200 application/json {Taken} What was taken.
 * @openapi-response-header 200 Idempotent-Replayed Said before.
 */
export const take = api.raw({ expose: true, method: "POST", path: "/take" }, async (req, resp) => { resp.end(); });`);
    expect(components.schemas.Taken).toMatchObject({ type: "object", required: ["rows"] });
    expect(paths["/take"]?.post?.responses["200"]).toEqual({
      description: "What was taken.",
      content: { "application/json": { schema: { $ref: "#/components/schemas/Taken" }, example: { rows: 1 } } },
      headers: { "Idempotent-Replayed": { description: "Said before.", required: false, schema: { type: "string" } } },
    });
  });

  it.each([
    ["@openapi-response-header 200 X-It x", /@openapi-response-header needs a name, and an @openapi-response/],
    ["@openapi-response text/plain {Gone} x", /shop\/shop\.ts:4: @openapi-response names the type \{Gone\}/],
    ["@throws teapot x", /@throws needs one of Encore's error codes/],
    ["@openapi-query", /@openapi-query needs a name/],
  ])("says where a tag is wrong: %s", (tag, sentence) => {
    const source = `/** X.\n * ${tag} */\nexport const a = api.raw({ expose: true, path: "/a" }, async (req, resp) => { resp.end(); });`;
    expect(() => documentOf(source)).toThrow(sentence);
  });
});
