import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { identify, isRunning, type ProcessIdentity } from "./process-identity";

const WAIT_POLL_MS = 500;

/** Who holds a lock now; undefined when nobody does, also when its holder died without letting go. */
export function lockHolder(file: string): ProcessIdentity | undefined {
  const holder = read(file);
  return holder && isRunning(holder) ? holder : undefined;
}

/** Takes the lock for this process. Returns its release, or the holder if another live process has it. */
export function tryLock(file: string): { release: () => void } | { holder: ProcessIdentity } {
  mkdirSync(dirname(file), { recursive: true });
  const self = identify(process.pid);
  if (!self) throw new Error("this process cannot see itself");
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, JSON.stringify(self));
  try {
    for (;;) {
      try {
        linkSync(mine, file); // atomic, and the file is complete the moment it exists
        return { release: () => rmSync(file, { force: true }) };
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      }
      const holder = read(file);
      if (holder && isRunning(holder)) return { holder };
      takeAway(file);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Waits for the lock, at most `timeoutMs`; `onWait` hears once whom it waits for. */
export async function waitForLock(
  file: string,
  timeoutMs: number,
  onWait: (holder: ProcessIdentity) => void,
): Promise<() => void> {
  const deadline = Date.now() + timeoutMs;
  for (let told = false; ; told = true) {
    const taken = tryLock(file);
    if ("release" in taken) return taken.release;
    if (!told) onWait(taken.holder);
    if (Date.now() > deadline) throw new Error(`${file} is still held by process ${taken.holder.pid}`);
    await sleep(WAIT_POLL_MS);
  }
}

/** Removes a dead holder's lock. If another process took it in between, it is put back: only one rename of a file succeeds. */
function takeAway(file: string): void {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return; // another process was faster
  }
  const holder = read(aside);
  if (holder && isRunning(holder)) {
    try {
      linkSync(aside, file);
    } catch {
      // a third one holds it now
    }
  }
  rmSync(aside, { force: true });
}

function read(file: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as ProcessIdentity;
  } catch {
    return undefined;
  }
}
