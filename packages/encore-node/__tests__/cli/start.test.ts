import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { freePort } from "../free-port.js";
import { shop, writeApp } from "../small-app.js";
import { BROKEN, source } from "./hello.js";
import { encoreNode, until } from "./run.js";

/** Milliseconds. A server is built, started and stopped several times. */
const SERVER_TIMEOUT_MS = 60_000;

const get = async (port: string, where = "/hello") => {
  const response = await fetch(`http://127.0.0.1:${port}${where}`);
  return `${response.status} ${await response.text()}`;
};

describe("encore-node start, dev (ENC-1)", () => {
  it(
    "builds what changed, serves with secrets from a file, and ends with 0 on SIGTERM",
    async () => {
      const root = writeApp(shop(source("one"), { "secrets.json": '{"Greeting":"hi"}' }));
      const secrets = path.join(root, "secrets.json");
      for (const text of ["one", "two"]) {
        writeFileSync(path.join(root, "shop/shop.ts"), source(text));
        const port = await freePort();
        const server = encoreNode(["start", root, "--port", port, "--secrets", secrets]);
        expect(
          await until(
            () => get(port),
            () => true,
          ),
        ).toBe(`200 {"text":"${text}","secret":"hi"}`);
        expect(await server.end("SIGTERM")).toBe(0);
      }
    },
    SERVER_TIMEOUT_MS,
  );

  it(
    "takes port, environment and secrets from the environment, and hides what is not exposed in production",
    async () => {
      const root = writeApp(shop(source("one")));
      const port = await freePort();
      encoreNode(["start", root], {
        ENCORE_NODE_PORT: port,
        ENCORE_NODE_ENV: "production",
        ENCORE_NODE_SECRET_Greeting: "hi",
      });
      expect(
        await until(
          () => get(port),
          () => true,
        ),
      ).toBe('200 {"text":"one","secret":"hi"}');
      expect(await get(port, "/inner")).toMatch(/^404 /);
    },
    SERVER_TIMEOUT_MS,
  );

  it(
    "lets what the app begins on SIGTERM finish within the drain time (ENC-1)",
    async () => {
      const app = (ms: number) => `import { api } from "encore.dev/api";
import { writeFileSync } from "node:fs";
import { shop } from "~encore/clients";
export const hello = api({ expose: true, method: "GET", path: "/hello" }, async (): Promise<{ text: string }> => ({ text: "hello" }));
export const settle = api({ method: "POST", path: "/settle" }, async (): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, ${ms}));
  writeFileSync(process.env.SETTLED ?? "", "settled");
});
process.once("SIGTERM", () => void shop.settle());
`;
      for (const [ms, settled] of [
        [700, "settled"],
        [60_000, ""],
      ] as const) {
        const root = writeApp(shop(app(ms)));
        const file = path.join(root, "settled.txt");
        writeFileSync(file, "");
        const port = await freePort();
        const server = encoreNode(["start", root, "--port", port], { SETTLED: file, ENCORE_NODE_DRAIN_MS: "2000" });
        await until(
          () => get(port),
          () => true,
        );
        expect(await server.end("SIGTERM")).toBe(0);
        expect(readFileSync(file, "utf8")).toBe(settled);
      }
    },
    SERVER_TIMEOUT_MS,
  );

  it(
    "replaces the app after a change, and keeps the last good version while there are problems (ENC-1)",
    async () => {
      const root = writeApp(shop(source("one")));
      const file = path.join(root, "shop/shop.ts");
      const port = await freePort();
      const dev = encoreNode(["dev", root, "--port", port], { Greeting: "hi" });
      await until(
        () => get(port),
        (answer) => answer.includes('"one"'),
      );
      writeFileSync(file, source("two"));
      await until(
        () => get(port),
        (answer) => answer.includes('"two"'),
      );
      writeFileSync(file, BROKEN);
      await until(
        async () => dev.output(),
        (output) => output.includes("shop/shop.ts:6: An endpoint must be bound"),
      );
      expect(await get(port)).toContain('"two"');
      writeFileSync(file, source("three"));
      await until(
        () => get(port),
        (answer) => answer.includes('"three"'),
      );
      expect(await dev.end("SIGTERM")).toBe(0);
      await expect(get(port)).rejects.toThrow();
    },
    SERVER_TIMEOUT_MS,
  );
});
