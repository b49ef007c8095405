import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseApp } from "../../packages/encore-node/src/parse/index";
import { environmentFor, optionalSecrets } from "./graphyn";

describe("the environment Graphyn is started in", () => {
  it("is local where only this machine can reach it, and nowhere else (ENC-1, RUN-1)", () => {
    expect(["127.0.0.1", "::1", "localhost"].map(environmentFor)).toEqual(["local", "local", "local"]);
    expect(["0.0.0.0", "::", "192.168.1.7", "127.0.0.1.example.org"].map(environmentFor)).toEqual(
      Array(4).fill("production"),
    );
  });

  it("has every secret that the app declares, empty or not: outside the local environment one that is missing ends the start (RUN-1)", () => {
    const source = readFileSync(new URL("graphyn.ts", import.meta.url), "utf8");
    const secrets = parseApp("backend").meta?.secrets ?? [];
    expect(secrets.length).toBeGreaterThan(8);
    const given = Object.keys(optionalSecrets({}));
    expect(secrets.filter((name) => !source.includes(`      ${name}: `) && !given.includes(name))).toEqual([]);
    expect(optionalSecrets({ CLERK_SECRET_KEY: "sk_1" })).toMatchObject({ CLERK_SECRET_KEY: "sk_1" });
  });
});
