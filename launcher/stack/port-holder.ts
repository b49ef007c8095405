import { readdir, readFile, readlink } from "node:fs/promises";
import { run } from "./run";

const LISTEN_STATE = "0A"; // TCP_LISTEN in /proc/net/tcp
const LSOF_TIMEOUT_MS = 5_000;

/** Who listens on a TCP port of this machine, e.g. `node (pid 4711)`; undefined when the system does not tell us. */
export async function portHolder(port: number): Promise<string | undefined> {
  return process.platform === "linux" ? holderFromProc(port) : holderFromLsof(port);
}

async function holderFromProc(port: number): Promise<string | undefined> {
  const inodes = new Set<string>();
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const text = await readFile(table, "utf8").catch(() => "");
    for (const line of text.split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (local?.endsWith(`:${hexPort}`) && state === LISTEN_STATE && inode) inodes.add(`socket:[${inode}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
      if (inodes.has(target)) return `${(await readFile(`/proc/${pid}/comm`, "utf8")).trim()} (pid ${pid})`;
    }
  }
  return undefined;
}

async function holderFromLsof(port: number): Promise<string | undefined> {
  const { code, output } = await run("lsof", ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"], {
    timeoutMs: LSOF_TIMEOUT_MS,
  });
  if (code !== 0) return undefined;
  const pid = output.match(/^p(\d+)/m)?.[1];
  const command = output.match(/^c(.+)/m)?.[1];
  return pid && command ? `${command} (pid ${pid})` : undefined;
}
