import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { place } from "../paths";
import { lockHolder, tryLock } from "./lock";
import { portHolder } from "./port-holder";
import { isPortFree, keepOrChoosePort } from "./ports";
import { identify, isRunning, type ProcessIdentity } from "./process-identity";
import { end, launch, untilReady } from "./processes";
import { scratchDir } from "./scratch";
import { readState, runningServers, updateState } from "./state";

const children: ChildProcess[] = [];
const servers: Server[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const server of servers.splice(0)) server.close();
});

/** A process that does nothing until it is ended. */
function sleeper(script = "setInterval(() => {}, 1000)"): ProcessIdentity {
  const child = spawn(process.execPath, ["-e", script], { stdio: "ignore", detached: true });
  children.push(child);
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (!identity) throw new Error("no process");
  return identity;
}

async function listen(): Promise<number> {
  const server = createServer();
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

describe("a process that was started (RUN-1)", () => {
  it("is not taken for another that has its pid now, which is left alone", async () => {
    const another = sleeper();
    const gone: ProcessIdentity = { pid: another.pid, startedAt: "an earlier moment" };
    expect(isRunning(gone)).toBe(false);
    expect(await end(gone, "SIGKILL", 100)).toBe(false);
    expect(isRunning(another)).toBe(true);
  });

  it("is not counted as running by a state file of before a reboot", () => {
    const file = join(scratchDir(), "state.json");
    const alive = sleeper();
    updateState(file, (state) => {
      state.processes = { postgres: { pid: alive.pid, startedAt: "before" }, letta: alive };
    });
    expect(runningServers(readState(file)).map(({ name }) => name)).toEqual(["letta"]);
  });

  it("is ended by its signal, and killed when it does not listen", async () => {
    const obedient = sleeper();
    expect(await end(obedient, "SIGTERM", 5_000)).toBe(true);
    expect(isRunning(obedient)).toBe(false);
    const log = join(scratchDir(), "log");
    const deaf = launch({
      command: process.execPath,
      args: ["-e", "process.on('SIGTERM', () => {}); console.log('deaf'); setInterval(() => {}, 1000)"],
      cwd: "/",
      env: {},
      log,
    });
    const { readFileSync } = await import("node:fs");
    await untilReady({
      name: "Deaf",
      process: deaf,
      log,
      timeoutMs: 10_000,
      isReady: async () => readFileSync(log, "utf8").includes("deaf"),
    });
    expect(await end(deaf, "SIGTERM", 300)).toBe(true);
    expect(isRunning(deaf)).toBe(false);
  });

  it("that ends while starting is told with its last lines", async () => {
    const log = join(scratchDir(), "log");
    const broken = launch({
      command: process.execPath,
      args: ["-e", "console.log('no such table'); process.exit(3)"],
      cwd: "/",
      env: {},
      log,
    });
    const waiting = untilReady({ name: "Letta", process: broken, log, timeoutMs: 10_000, isReady: async () => false });
    await expect(waiting).rejects.toThrow(/Letta ended while starting.*\n.*no such table/);
  });
});

describe("the lock of a place (RUN-1)", () => {
  it("is held by one process, and known to the next as that one's", () => {
    const file = join(scratchDir(), "lock");
    const first = tryLock(file);
    expect("release" in first).toBe(true);
    expect(tryLock(file)).toMatchObject({ holder: { pid: process.pid } });
    if ("release" in first) first.release();
    expect(lockHolder(file)).toBeUndefined();
    expect("release" in tryLock(file)).toBe(true);
  });

  it("of a process that was killed is taken over, also when its pid lives on in another", () => {
    const file = join(scratchDir(), "lock");
    const another = sleeper();
    writeFileSync(file, JSON.stringify({ pid: another.pid, startedAt: "an earlier moment" }));
    expect(lockHolder(file)).toBeUndefined();
    expect("release" in tryLock(file)).toBe(true);
    expect(isRunning(another)).toBe(true);
  });

  it("of a process that lives is not", () => {
    const file = join(scratchDir(), "lock");
    const another = sleeper();
    writeFileSync(file, JSON.stringify(another));
    expect(tryLock(file)).toEqual({ holder: another });
  });
});

describe("ports (RUN-1)", () => {
  it("are kept from one start to the next, and changed when somebody else has them", async () => {
    const port = await keepOrChoosePort(undefined);
    expect(await keepOrChoosePort(port)).toBe(port);
    const taken = await listen();
    expect(await isPortFree(taken)).toBe(false);
    expect(await keepOrChoosePort(taken)).not.toBe(taken);
  });

  it("that are taken are told with who holds them", async () => {
    const taken = await listen();
    expect(await portHolder(taken)).toMatch(new RegExp(`\\(pid ${process.pid}\\)$`));
  });
});

it("start and test have nothing in common but what is installed (RUN-1)", () => {
  const files = ({ secrets, state, lock, logs, env }: ReturnType<typeof place>) => [secrets, state, lock, logs, env];
  const start = new Set(files(place("start")));
  expect(files(place("test")).filter((file) => start.has(file))).toEqual([]);
});
