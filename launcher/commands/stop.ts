import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "../fault";
import { place } from "../paths";
import { lockHolder, tryLock } from "../stack/lock";
import { isRunning } from "../stack/process-identity";
import { stopServers } from "../stack/shutdown";
import { readState, runningServers } from "../stack/state";
import { step } from "../terminal/progress";

/** Graphyn drains running turns, Letta its requests, PostgreSQL writes its last page. */
const STOP_TIMEOUT_MS = 90_000;
const POLL_INTERVAL_MS = 100;

/** `./graphyn stop`: ends a foreground start by asking it, and else everything that the state says is running. */
export async function stop(): Promise<number> {
  const here = place("start");
  const holder = lockHolder(here.lock);
  if (holder) {
    await step("Graphyn", `asking ./graphyn start (pid ${holder.pid}) to stop`, async () => {
      process.kill(holder.pid, "SIGTERM");
      const deadline = Date.now() + STOP_TIMEOUT_MS;
      while (isRunning(holder) && Date.now() < deadline) await sleep(POLL_INTERVAL_MS);
      if (isRunning(holder)) {
        throw new Fault(
          `./graphyn start (pid ${holder.pid}) did not end within ${STOP_TIMEOUT_MS / 1000} s.`,
          `kill -9 ${holder.pid}, then ./graphyn stop`,
        );
      }
      return "stopped by the ./graphyn start that held it";
    });
  }
  const taken = tryLock(here.lock);
  if ("holder" in taken)
    throw new Fault(`./graphyn (pid ${taken.holder.pid}) has just begun to start.`, "Run ./graphyn stop again.");
  try {
    if (runningServers(readState(here.state)).length > 0) await stopServers(here);
    else if (!holder) console.log("Graphyn is not running.");
    return 0;
  } finally {
    taken.release();
  }
}
