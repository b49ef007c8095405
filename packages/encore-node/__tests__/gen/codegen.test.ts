import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { buildApp, check } from "../../src/gen/build.js";
import { isFresh } from "../../src/gen/fresh.js";
import { shop, writeApp } from "../small-app.js";

const SHOP = `import { api, Gateway, Header } from "encore.dev/api";
import { authHandler } from "encore.dev/auth";
interface Hand { who: string } interface In { a: string } interface Out { b: number }
export const buy = api({ path: "/buy/:id" }, async (p: { id: string; n?: number }): Promise<{ total: number }> => ({ total: 1 }));
export const ping = api({}, async (): Promise<void> => {});
export const file = api.raw({ path: "/file" }, async (req, resp) => { resp.end(); });
export const both = api.streamInOut<Hand, In, Out>({ path: "/both" }, async (h, stream) => {});
export const bare = api.streamInOut<In, Out>({ path: "/bare" }, async (stream) => {});
export const into = api.streamIn<In, Out>({ path: "/into" }, async (stream) => ({ b: 1 }));
export const out = api.streamOut<Hand, Out>({ path: "/out" }, async (h, stream) => {});
export const auth = authHandler<{ key: Header<"X-Key"> }, { userID: string; role: "a" | "b" }>(async () => ({ userID: "u", role: "a" }));
export const gateway = new Gateway({ authHandler: auth });
`;

/** Uses the generated modules as an app would: each assertion is one the compiler checks. */
const USER = `import { Service } from "encore.dev/service";
import { type AuthData, getAuthData } from "~encore/auth";
import { shop } from "~encore/clients";
export default new Service("user");
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
export const checks: true[] = [
  true satisfies Same<AuthData, { userID: string; role: "a" | "b" }>,
  true satisfies Same<ReturnType<typeof getAuthData>, { userID: string; role: "a" | "b" } | null>,
];
export async function use(): Promise<void> {
  const { total } = await shop.buy({ id: "x" }, { authData: { userID: "u", role: "b" } });
  total satisfies number;
  await shop.ping();
  const both = await shop.both({ who: "me" });
  await both.send({ a: "x" });
  for await (const message of both) message.b satisfies number;
  const bare = await shop.bare();
  (await bare.recv()).b satisfies number;
  const into = await shop.into();
  await into.send({ a: "x" });
  (await into.response()).b satisfies number;
  const out = await shop.out({ who: "me" });
  for await (const message of out) message.b satisfies number;
  (await shop.ref().buy({ id: "y" })).total satisfies number;
  // @ts-expect-error a missing field
  await shop.buy({});
  // @ts-expect-error a message of the wrong type
  await both.send({ b: 1 });
}
`;

function errorsOf(root: string, files: string[]): string[] {
  const program = ts.createProgram(
    files.map((file) => path.join(root, file)),
    {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ES2022,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      types: ["node"],
      paths: { "~encore/*": [path.join(root, "encore.gen/*")] },
    },
  );
  const messages = ts.getPreEmitDiagnostics(program);
  return messages.map(
    ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`,
  );
}

describe("encore.gen (ENC-1)", () => {
  it("types clients, streams and auth data so that an app compiles against them", () => {
    const root = writeApp(shop(SHOP, { "user/encore.service.ts": USER }));
    check(root);
    const generated = ["encore.gen/internal/entrypoints/combined/main.ts", "encore.gen/clients/index.d.ts"];
    expect(errorsOf(root, ["user/encore.service.ts", ...generated])).toEqual([]);
  });

  it("removes what is no longer generated and leaves unchanged files alone", () => {
    const files = {
      "a/a.ts": 'import { api } from "encore.dev/api";\nexport const x = api({}, async (): Promise<void> => {});',
    };
    const root = writeApp(files);
    check(root);
    const clients = path.join(root, "encore.gen/internal/clients");
    writeFileSync(path.join(clients, "stale.js"), "");
    check(root);
    expect(readdirSync(clients)).toEqual(["a"]);
    expect(readFileSync(path.join(root, "encore.gen/internal/auth/auth.ts"), "utf8")).toContain("AuthData = null");
  });

  it("refuses getAuthData's types without an auth handler, but compiles", () => {
    const root = writeApp({
      "a/a.ts": 'import { api } from "encore.dev/api";\nexport const x = api({}, async (): Promise<void> => {});',
    });
    check(root);
    expect(errorsOf(root, ["encore.gen/auth/index.ts", "encore.gen/internal/entrypoints/combined/main.ts"])).toEqual(
      [],
    );
  });
});

describe("build (ENC-1)", () => {
  it("bundles the app and ~encore, leaves packages outside, and knows when it is stale", async () => {
    const root = writeApp(shop(SHOP, { "user/encore.service.ts": USER }));
    const out = path.join(root, ".encore/build");
    expect(isFresh(root, out)).toBe(false);
    await buildApp(root, out);
    const code = readFileSync(path.join(out, "main.mjs"), "utf8");
    expect(code).not.toContain("~encore/");
    expect(code).toMatch(/from "encore\.dev\/internal\/codegen\/appinit"/);
    expect(JSON.parse(readFileSync(path.join(out, "meta.json"), "utf8")).services).toHaveLength(2);
    expect(existsSync(path.join(out, "main.mjs.map"))).toBe(true);
    expect(isFresh(root, out)).toBe(true);
    writeFileSync(path.join(root, "shop/more.ts"), "export {};");
    expect(isFresh(root, out)).toBe(false);
  });

  it("is stale too when something else changes that the code imports", async () => {
    const code = `import { api } from "encore.dev/api";\nimport words from "./words.json";
export const x = api({}, async (): Promise<{ words: string[] }> => ({ words }));`;
    const root = writeApp(shop(code, { "shop/words.json": '["a"]' }));
    const out = path.join(root, ".encore/build");
    await buildApp(root, out);
    expect(isFresh(root, out)).toBe(true);
    writeFileSync(path.join(root, "shop/words.json"), '["a", "b"]');
    expect(isFresh(root, out)).toBe(false);
  });

  it("tells a bundle's error with file and line", async () => {
    const root = writeApp(
      shop(
        `import { gone } from "./gone";\nimport { api } from "encore.dev/api";\nexport const x = api({}, async (): Promise<void> => gone());`,
      ),
    );
    await expect(buildApp(root, path.join(root, ".encore/build"))).rejects.toThrow(
      /Could not resolve "\.\/gone"[\s\S]*shop\/shop\.ts:1:/,
    );
  });
});
