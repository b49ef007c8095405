import { describe, expect, it } from "vitest";
import { problemsOf, shop } from "../small-app.js";

const API = 'import { api, Header, HttpStatus, Query, Gateway } from "encore.dev/api";\n';
const OK = "async (): Promise<void> => {}";

/** Each row: what is wrong, the second line of shop/shop.ts and on, and the sentences that have to come. */
const rows: [string, string, string[]][] = [
  [
    "an endpoint that is not exported",
    `const a = api({}, ${OK});`,
    ['shop/shop.ts:2: An endpoint must be bound to an exported variable at the top level of its file; "a" is not.'],
  ],
  [
    "an endpoint bound to nothing",
    `api({}, ${OK});`,
    ["shop/shop.ts:2: An endpoint must be bound to an exported variable at the top level of its file."],
  ],
  [
    "a path that is computed",
    `const base = "/x";\nexport const a = api({ path: base }, ${OK});`,
    ['shop/shop.ts:3: "path" of "a" must be a string literal, because Encore reads it without running the code.'],
  ],
  [
    "a configuration that is no literal",
    `const config = {};\nexport const a = api(config, ${OK});`,
    [
      'shop/shop.ts:3: The configuration of "a" must be written as an object literal, because Encore reads it without running the code.',
    ],
  ],
  [
    "an unknown method",
    `export const a = api({ method: "FETCH" as any }, ${OK});`,
    [
      'shop/shop.ts:2: "FETCH" is not a method "a" can have; use GET, POST, PATCH, PUT, DELETE, HEAD, OPTIONS, TRACE or "*".',
    ],
  ],
  [
    "an unknown option",
    `export const a = api({ timeout: 5 } as any, ${OK});`,
    ['shop/shop.ts:2: "timeout" of "a" is not an option of Encore\'s endpoints.'],
  ],
  [
    "a route that is taken",
    `export const a = api({ method: "GET", path: "/x/:id" }, async (p: { id: string }): Promise<void> => {});\nexport const b = api({ method: "GET", path: "/x/:id" }, async (p: { id: string }): Promise<void> => {});`,
    ['shop/shop.ts:3: The route GET /x/:id of "b" is already taken by "a" (shop/shop.ts:2).'],
  ],
  [
    "a parameter and a wildcard at one place",
    `export const a = api({ method: "GET", path: "/x/:id" }, async (p: { id: string }): Promise<void> => {});\nexport const b = api({ method: "GET", path: "/x/*rest" }, async (p: { rest: string }): Promise<void> => {});`,
    [
      'shop/shop.ts:3: The path /x/*rest of "b" conflicts with /x/:id of "a" (shop/shop.ts:2): a parameter and a wildcard cannot stand at the same place.',
    ],
  ],
  [
    "a path parameter without a field",
    `export const a = api({ path: "/x/:id" }, ${OK});`,
    ['shop/shop.ts:2: The path parameter "id" of "a" is not a field of its request type.'],
  ],
  [
    "a path parameter of another name's type",
    `type Id = string;\nexport const a = api({ path: "/x/:id" }, async (p: { id: Id }): Promise<void> => {});`,
    [
      "shop/shop.ts:3: The path parameter \"id\" must be written as string, number, boolean or bigint (validation may follow with '&'), not by another name or type.",
    ],
  ],
  [
    "a wildcard in the middle",
    `export const a = api({ path: "/x/*rest/y" }, async (p: { rest: string }): Promise<void> => {});`,
    ['shop/shop.ts:2: The wildcard "*rest" must be at the end of the path "/x/*rest/y".'],
  ],
  [
    "a request type that is no interface",
    `export const a = api({}, async (p: string[]): Promise<void> => {});`,
    ["shop/shop.ts:2: The request type string[] must be an interface (or void): Encore takes no other type here."],
  ],
  [
    "an index signature at the top",
    `export const a = api({}, async (): Promise<Record<string, string>> => ({}));`,
    ["shop/shop.ts:2: The response type Record<string, string> has an index signature; wrap it in a named field."],
  ],
  [
    "a tuple",
    `export const a = api({}, async (p: { at: [number, number] }): Promise<void> => {});`,
    [
      "shop/shop.ts:2: The type [number, number] is a tuple, which Encore's schemas do not support; use an object or an array.",
    ],
  ],
  [
    "a built-in type that Encore does not know",
    `export const a = api({}, async (p: { all: Map<string, string> }): Promise<void> => {});`,
    [
      "shop/shop.ts:2: The built-in type Map is not known to Encore's schemas; it knows Promise, Partial, Required, Readonly, Pick, Record, Exclude, Extract, Omit, NonNullable, Date, Array.",
      "shop/shop.ts:2: The type Map<string, string> is a built-in type without a schema in Encore.",
    ],
  ],
  [
    "a function",
    `export const a = api({}, async (p: { run: () => void }): Promise<void> => {});`,
    ["shop/shop.ts:2: The type () => void is a function, which cannot be sent."],
  ],
  [
    "a class",
    `class Thing { a = 1 }\nexport const a = api({}, async (p: { thing: Thing }): Promise<void> => {});`,
    ["shop/shop.ts:3: The type Thing is a class; use an interface."],
  ],
  [
    "undefined inside an array",
    `export const a = api({}, async (p: { list: (string | undefined)[] }): Promise<void> => {});`,
    ['shop/shop.ts:2: "undefined" is only possible as a field\'s own type; write null or make the field optional.'],
  ],
  [
    "a template literal type",
    `export const a = api({}, async (p: { id: \`x-\${string}\` }): Promise<void> => {});`,
    ["shop/shop.ts:2: Template literal types are not supported in Encore's schemas; use string."],
  ],
  [
    "a validation that does not fit",
    `import { MinLen } from "encore.dev/validate";\nexport const a = api({}, async (p: { n: number & MinLen<3> }): Promise<void> => {});`,
    ["shop/shop.ts:3: The validation MinLen<3> cannot be applied to number."],
  ],
  [
    "a header behind an alias",
    `type Key = Header<"X-Key">;\nexport const a = api({}, async (p: { key: Key }): Promise<void> => {});`,
    [
      'shop/shop.ts:3: The field "key" hides its place behind the alias "Key", which Encore does not see; write Header<>, Query<>, Cookie<> or HttpStatus directly.',
    ],
  ],
  [
    "an object in a query",
    `export const a = api({ method: "GET" }, async (p: { filter: { x: string } }): Promise<void> => {});`,
    ['shop/shop.ts:2: The field "filter" of "a" travels in the query (GET) and cannot be an object there.'],
  ],
  [
    "two statuses",
    `export const a = api({}, async (): Promise<{ a: HttpStatus; b: HttpStatus }> => ({ a: 200, b: 200 }));`,
    ["shop/shop.ts:2: A response type can hold one HttpStatus field only."],
  ],
  [
    "a stream without type arguments",
    `export const a = api.streamInOut({}, async (stream) => {});`,
    ["shop/shop.ts:2: api.streamInOut needs 2 type arguments here, found 0."],
  ],
  [
    "a stream's message that is a union",
    `type M = { a: string } | { b: string };\nexport const a = api.streamOut<M>({}, async (stream) => {});`,
    ["shop/shop.ts:3: The message type M must be an interface (or void): Encore takes no other type here."],
  ],
  [
    "static files",
    `export const a = api.static({ dir: "./assets" });`,
    [
      'shop/shop.ts:2: "api.static" is not supported by this host; use api(), api.raw or the streams (serve files from a raw endpoint).',
    ],
  ],
  [
    "a type that cannot be found",
    `import type { Lost } from "no-such-package";\nexport const a = api({}, async (p: { lost: Lost }): Promise<void> => {});`,
    ["shop/shop.ts:3: A type used here cannot be resolved; check its import."],
  ],
  [
    "a Topic",
    `import { Topic } from "encore.dev/pubsub";\nexport const t = new Topic<{ a: string }>("t", { deliveryGuarantee: "at-least-once" });`,
    [
      "shop/shop.ts:3: Pub/Sub (Topic, Subscription) is not supported by this host; enqueue a job in the database instead.",
    ],
  ],
  [
    "a CronJob",
    `import { CronJob } from "encore.dev/cron";\nconst c = new CronJob("c", { every: "1h", endpoint: null as any });`,
    ["shop/shop.ts:3: CronJob is not supported by this host; schedule a job in the database instead."],
  ],
  [
    "a Bucket",
    `import { Bucket } from "encore.dev/storage/objects";\nconst b = new Bucket("b");`,
    ["shop/shop.ts:3: Object storage (Bucket) is not supported by this host."],
  ],
  [
    "a CacheCluster",
    `import { CacheCluster } from "encore.dev/storage/cache";\nconst c = new CacheCluster("c");`,
    ["shop/shop.ts:3: The cache (CacheCluster) is not supported by this host."],
  ],
  [
    "a metric",
    `import { Counter } from "encore.dev/metrics";\nconst c = new Counter("c");`,
    ["shop/shop.ts:3: Metrics are not supported by this host."],
  ],
  [
    "a database with a computed name",
    `import { SQLDatabase } from "encore.dev/storage/sqldb";\nconst name = "x";\nconst db = new SQLDatabase(name);`,
    [
      "shop/shop.ts:4: The name of a SQLDatabase must be a string literal, because Encore reads it without running the code.",
    ],
  ],
  [
    "a database that is declared twice",
    `import { SQLDatabase } from "encore.dev/storage/sqldb";\nconst a = new SQLDatabase("x");\nconst b = new SQLDatabase("x");`,
    ['shop/shop.ts:4: The database "x" is already declared (shop/shop.ts:3); refer to it by SQLDatabase.named("x").'],
  ],
  [
    "a database that is declared nowhere",
    `import { SQLDatabase } from "encore.dev/storage/sqldb";\nconst a = SQLDatabase.named("x");`,
    ['shop/shop.ts:3: SQLDatabase.named("x") refers to a database that is declared nowhere.'],
  ],
  [
    "migrations that are not there",
    `import { SQLDatabase } from "encore.dev/storage/sqldb";\nconst a = new SQLDatabase("x", { migrations: "./nowhere" });`,
    ['shop/shop.ts:3: The migrations folder "./nowhere" of the database "x" does not exist.'],
  ],
  [
    "a secret inside a function",
    `import { secret } from "encore.dev/config";\nexport function f() { const s = secret("S"); return s(); }`,
    ["shop/shop.ts:3: A secret must be declared at the top level of its file, not inside a function."],
  ],
  [
    "an auth handler without types",
    `import { authHandler } from "encore.dev/auth";\nexport const auth = authHandler(async (p: { key: Header<"X"> }) => ({ userID: "u" }));`,
    ["shop/shop.ts:3: The auth handler must say its result type, as in authHandler<Params, AuthData>(…)."],
  ],
  [
    "an auth parameter without a place",
    `import { authHandler } from "encore.dev/auth";\nexport const auth = authHandler(async (p: { key: string }): Promise<{ userID: string }> => ({ userID: "u" }));`,
    [`shop/shop.ts:3: The auth handler's parameter "key" must be a Header<>, Query<> or Cookie<>.`],
  ],
  [
    "AuthData without userID",
    `import { authHandler } from "encore.dev/auth";\nexport const auth = authHandler(async (p: { key: Header }): Promise<{ id: string }> => ({ id: "u" }));`,
    ['shop/shop.ts:3: AuthData must have a field "userID" of type string.'],
  ],
  [
    "two gateways",
    `export const a = new Gateway({});\nexport const b = new Gateway({});`,
    ["shop/shop.ts:3: An app can have one Gateway only."],
  ],
  [
    "source that does not parse",
    "export const a = ;",
    ["shop/shop.ts:2: The file is not valid TypeScript: Expression expected."],
  ],
];

describe("what breaks Encore's rules is said in one sentence with file and line (ENC-1)", () => {
  it.each(rows)("%s", (_name, source, sentences) => {
    expect(problemsOf(shop(API + source))).toEqual(sentences);
  });

  it("tells all problems together, by file and line", () => {
    const source = `${API}const a = api({}, ${OK});\nconst b = api({}, ${OK});`;
    const problems = problemsOf(shop(source, { "shop/aaa.ts": `${API}api({}, ${OK});` }));
    expect(problems.map((problem) => problem.split(": ")[0])).toEqual([
      "shop/aaa.ts:2",
      "shop/shop.ts:2",
      "shop/shop.ts:3",
    ]);
  });
});

describe("services (ENC-1)", () => {
  const service = (text: string) => `import { Service } from "encore.dev/service";\n${text}`;

  it("wants the Service as the unbound default export of encore.service.ts", () => {
    const problems = problemsOf({
      "a/encore.service.ts": service('new Service("a");'),
      "b/encore.service.ts": service('const b = new Service("b");\nexport default b;'),
      "c/encore.service.ts": service(""),
      "d/other.ts": service('export default new Service("d");'),
    });
    expect(problems).toEqual([
      'a/encore.service.ts:2: A Service must be the default export; write "export default new Service(…)".',
      'b/encore.service.ts:2: A Service must not be bound to a variable; write "export default new Service(…)".',
      "c/encore.service.ts:1: An encore.service.ts must declare a Service.",
      "d/other.ts:2: A Service can be declared in a file called encore.service.ts only.",
    ]);
  });

  it("refuses a service inside a service and a name used twice", () => {
    const problems = problemsOf({
      "a/encore.service.ts": service('export default new Service("a");'),
      "a/inner/encore.service.ts": service('export default new Service("inner");'),
      "b/encore.service.ts": service('export default new Service("a");'),
    });
    expect(problems).toContain(
      'a/inner/encore.service.ts:2: The service "inner" cannot be inside the folder of the service "a".',
    );
    expect(problems).toHaveLength(2);
  });

  it("wants secrets and calls to other services inside a service", () => {
    const problems = problemsOf(
      shop("", {
        "lib/secret.ts": 'import { secret } from "encore.dev/config";\nexport const s = secret("S");',
        "lib/call.ts": 'import { shop } from "~encore/clients";\nexport const f = () => shop.buy();',
      }),
    );
    expect(problems).toEqual([
      "lib/call.ts:2: Code that calls ~encore/clients must be inside the folder of a service (one with an encore.service.ts).",
      "lib/secret.ts:2: A secret must be inside the folder of a service (one with an encore.service.ts).",
    ]);
  });

  it("says where there is no encore.app", () => {
    expect(problemsOf({ "encore.app": "{" })[0]).toMatch(/^encore\.app:1: encore\.app is not valid JSON/);
  });
});
