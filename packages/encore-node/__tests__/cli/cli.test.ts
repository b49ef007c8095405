import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { shop, writeApp } from "../small-app.js";
import { BROKEN, source } from "./hello.js";
import { encoreNode } from "./run.js";

/** Milliseconds. Each command is a process of its own and loads the compiler. */
const COMMAND_TIMEOUT_MS = 60_000;

describe("encore-node check, openapi (ENC-1)", { timeout: COMMAND_TIMEOUT_MS }, () => {
  it("ends with 0 and writes encore.gen, or with 1 and every problem", async () => {
    const root = writeApp(shop(source("one")));
    const good = encoreNode(["check", root]);
    expect(await good.end()).toBe(0);
    expect(good.output()).toMatch(/^ok: 1 services, 2 endpoints/);
    expect(existsSync(path.join(root, "encore.gen/clients/index.js"))).toBe(true);
    writeFileSync(path.join(root, "shop/shop.ts"), BROKEN);
    const bad = encoreNode(["check", root]);
    expect(await bad.end()).toBe(1);
    expect(bad.output()).toBe(
      "shop/shop.ts:6: An endpoint must be bound to an exported variable at the top level of its file.\n",
    );
  });

  it("ends with 2 on a wrong command line", async () => {
    for (const args of [["serve"], ["check", "--nope"], ["check", "/"]]) expect(await encoreNode(args).end()).toBe(2);
  });

  it("writes the OpenAPI document (DEP-2)", async () => {
    const root = writeApp(shop(source("one"), { "package.json": '{"name":"shop-app","version":"1.2.3"}' }));
    const file = path.join(root, "openapi.json");
    expect(await encoreNode(["openapi", root, "--out", file]).end()).toBe(0);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
      openapi: "3.1.0",
      info: { title: "shop-app", version: "1.2.3" },
      paths: { "/hello": { get: {} } },
    });
  });
});
