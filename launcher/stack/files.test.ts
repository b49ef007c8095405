import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Fault } from "../fault";
import { checkDisk } from "./disk";
import { readEnv, writeEnv } from "./env-file";
import { installOnce, isInstalled } from "./installed";
import { scratchDir } from "./scratch";
import { loadSecrets } from "./secrets";

const OWNER_ONLY = 0o600;
const mode = (file: string) => statSync(file).mode & 0o777;

describe("what the launcher writes (RUN-1)", () => {
  it("keeps coordinates and secrets readable by their owner only (SEC-4)", () => {
    const dir = scratchDir();
    const env = join(dir, "env");
    writeFileSync(env, "GRAPHYN_API_KEY=old\n", { mode: 0o644 });
    writeEnv(env, { GRAPHYN_URL: "http://localhost:4000", DATABASE_URL: "postgresql://a:b=c@h/d" });
    expect(mode(env)).toBe(OWNER_ONLY);
    expect(readEnv(env)).toEqual({ GRAPHYN_URL: "http://localhost:4000", DATABASE_URL: "postgresql://a:b=c@h/d" });
    loadSecrets(join(dir, "secrets.json"));
    expect(mode(join(dir, "secrets.json"))).toBe(OWNER_ONLY);
  });

  it("makes each secret once, and adds one that a later version needs", () => {
    const file = join(scratchDir(), "secrets.json");
    const first = loadSecrets(file);
    expect(new Set(Object.values(first)).size).toBe(Object.keys(first).length);
    expect(loadSecrets(file)).toEqual(first);
    const { adminKey: _, ...older } = first;
    writeFileSync(file, JSON.stringify(older));
    const later = loadSecrets(file);
    expect(later).toMatchObject(older);
    expect(later.adminKey).not.toBe(first.adminKey);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(later);
  });

  it("does an installation that was cut short again from the start, and a finished one never", async () => {
    const dir = join(scratchDir(), "part");
    const half = installOnce(dir, async () => {
      writeFileSync(join(dir, "half"), "");
      throw new Error("killed here");
    });
    await expect(half).rejects.toThrow("killed here");
    expect(isInstalled(dir)).toBe(false);
    const again = await installOnce(dir, async () => {
      expect(() => statSync(join(dir, "half"))).toThrow();
      writeFileSync(join(dir, "whole"), "");
    });
    expect(again).toBe(true);
    expect(await installOnce(dir, () => Promise.reject(new Error("must not run")))).toBe(false);
  });

  it("says how much room is missing before it installs anything", async () => {
    const dir = join(scratchDir(), "not", "there", "yet");
    await checkDisk(dir, 1);
    const fault = await checkDisk(dir, Number.MAX_SAFE_INTEGER).catch((error: unknown) => error);
    expect(fault).toBeInstanceOf(Fault);
    expect((fault as Fault).message).toMatch(/has [\d.]+ GB free, and 9007199.3 GB are needed/);
  });
});
