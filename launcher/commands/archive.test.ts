import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Elsewhere,
  exportOf,
  rowsHere,
  say,
  settled,
  startElsewhere,
} from "../../backend/__tests__/archive/archives";
import type {} from "../../backend/__tests__/harness/global-setup"; // declares what tests are provided with
import { newOrganization, newThread, type TestOrganization } from "../../backend/__tests__/harness/organization";
import { startServer } from "../../backend/__tests__/harness/server";
import { ROOT } from "../paths";
import { run } from "../stack/run";
import { scratchDir } from "../stack/scratch";

const COMMAND_MS_MAX = 120_000;
/** More than a connection takes before somebody reads: it is refused while it is being sent. */
const LARGE_BYTES = 64 << 20;

let from: Elsewhere;
let into: Elsewhere;
let org: TestOrganization;
let name: string;
let archive: string;

beforeAll(async () => {
  [from, into] = await Promise.all([startElsewhere(), startElsewhere()]);
  org = await newOrganization(
    {
      url: from.server.url,
      adminKey: from.adminKey,
      databaseUrl: from.database.url,
      adminUrl: from.database.adminUrl,
    },
    "To be moved",
  );
  name = `${org.orgId}.graphyn.ndjson`;
  await say(org, await newThread(org), "Is there a café?");
  await settled(org, from.database.adminUrl);
  archive = await exportOf(org);
});
afterAll(async () => {
  await from?.stop();
  await into?.stop();
});

/** Runs `./graphyn` in a folder, with these keys and none of whoever runs the tests. */
function graphyn(dir: string, args: string[], keys: { apiKey?: string; adminKey?: string }) {
  const { GRAPHYN_API_KEY: _key, GRAPHYN_ADMIN_KEY: _admin, ...inherited } = process.env;
  const env = {
    ...inherited,
    NO_COLOR: "1",
    ...(keys.apiKey ? { GRAPHYN_API_KEY: keys.apiKey } : {}),
    ...(keys.adminKey ? { GRAPHYN_ADMIN_KEY: keys.adminKey } : {}),
  };
  return run(join(ROOT, "graphyn"), args, { cwd: dir, env, timeoutMs: COMMAND_MS_MAX });
}

/** A folder with a file in it. */
function folderWith(file: string, content: string | Buffer): string {
  const dir = scratchDir();
  writeFileSync(join(dir, file), content);
  return dir;
}

const apiKeyIn = (output: string) => /API key, shown once: (gk_\S+)/.exec(output)?.[1] ?? "";

describe("./graphyn export", () => {
  it("writes the archive as the API gives it, into a file that only its owner may read (SEC-7)", async () => {
    const dir = scratchDir();
    const { code, output } = await graphyn(dir, ["export", from.server.url], org);
    expect(code, output).toBe(0);
    expect(output).toContain(join(dir, name));
    expect(readdirSync(dir)).toEqual([name]);
    expect(readFileSync(join(dir, name), "utf8")).toBe(archive);
    expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  });

  it("with a wrong key says so, and leaves an earlier archive as it is (SEC-4)", async () => {
    const dir = folderWith("kept", "an earlier one");
    const ask = (apiKey?: string) =>
      graphyn(dir, ["export", from.server.url, "--out", "kept"], apiKey ? { apiKey } : {});
    expect(await ask(`${org.apiKey}x`)).toMatchObject({ code: 1, output: expect.stringContaining("a valid API key") });
    expect(await ask()).toMatchObject({ code: 1, output: expect.stringContaining("Set GRAPHYN_API_KEY") });
    expect(readdirSync(dir)).toEqual(["kept"]);
    expect(readFileSync(join(dir, "kept"), "utf8")).toBe("an earlier one");
  });

  it("that the server cuts off leaves no file, and an earlier archive as it is (SEC-7)", async () => {
    const hasty = await startServer({
      databaseUrl: from.database.url,
      adminKey: from.adminKey,
      env: { GRAPHYN_ARCHIVE_MS_MAX: "1", ENCORE_NODE_DB_POOL: "6" },
    });
    try {
      const dir = folderWith("kept", "an earlier one");
      const cut = await graphyn(dir, ["export", hasty.url, "--out", "kept"], org);
      expect(cut).toMatchObject({ code: 1, output: expect.stringContaining("cut the archive off: too_slow") });
      expect(readdirSync(dir)).toEqual(["kept"]);
      expect(readFileSync(join(dir, "kept"), "utf8")).toBe("an earlier one");
    } finally {
      await hasty.stop();
    }
  });
});

describe("./graphyn import", () => {
  const refused = async (dir: string, file: string, said: string, adminKey: string | undefined = into.adminKey) => {
    const { code, output } = await graphyn(dir, ["import", file, into.server.url], { adminKey });
    expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining(said) });
    expect(output).not.toContain("gk_");
    expect(await rowsHere(into.database.adminUrl, org.orgId)).toEqual({});
  };

  it("of a file that is no archive, or not as it was, says what is wrong, and nothing of it is there (SEC-7)", async () => {
    const dir = folderWith("damaged", archive.replace("café", "cave"));
    writeFileSync(join(dir, "short"), archive.slice(0, -100));
    writeFileSync(join(dir, "large"), Buffer.alloc(LARGE_BYTES, "no archive\n"));
    await refused(dir, "damaged", "The archive's end does not fit the rest");
    await refused(dir, "short", "This archive was cut off: its end is missing.");
    await refused(dir, "large", "This is no archive of an organization.");
    await refused(dir, "nowhere", "There is no file nowhere.");
  });

  it("with a wrong admin key, or none, says so (SEC-4)", async () => {
    const dir = folderWith(name, archive);
    await refused(dir, name, "The admin key is not right.", "wrong");
    await refused(dir, name, "Set GRAPHYN_ADMIN_KEY", "");
  });

  it("shows the key of the owner, who gets the same archive again; the same file once more gets the same answer (SEC-7)", async () => {
    const dir = folderWith(name, archive);
    const first = await graphyn(dir, ["import", name, into.server.url], into);
    expect(first.code, first.output).toBe(0);
    expect(first.output).toContain(org.orgId);
    const apiKey = apiKeyIn(first.output);
    expect(apiKey).not.toBe("");
    const again = await graphyn(dir, ["import", name, into.server.url], into);
    expect(again.code, again.output).toBe(0);
    expect(apiKeyIn(again.output)).toBe(apiKey);

    const copied = await graphyn(dir, ["export", into.server.url, "--out", "copy"], { apiKey });
    expect(copied.code, copied.output).toBe(0);
    expect(readFileSync(join(dir, "copy"), "utf8")).toBe(archive);
  });

  it("into a Graphyn where the organization is says so, and changes nothing (SEC-7)", async () => {
    const before = await rowsHere(from.database.adminUrl, org.orgId);
    const dir = folderWith(name, archive);
    const { code, output } = await graphyn(dir, ["import", name, from.server.url], from);
    expect(code).toBe(1);
    expect(output).toContain("The archive's organization is here already.");
    expect(await rowsHere(from.database.adminUrl, org.orgId)).toEqual(before);
  });
});
