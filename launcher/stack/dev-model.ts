import { join } from "node:path";
import { type Place, ROOT } from "../paths";
import type { ProcessIdentity } from "./process-identity";
import { end, launch, untilReady } from "./processes";

const START_TIMEOUT_MS = 30_000;
const STOP_GRACE_MS = 5_000;
const ASK_TIMEOUT_MS = 2_000;

/** The dev model's address as OpenAI clients want it. */
export function devModelBase(port: number): string {
  return `http://127.0.0.1:${port}/v1`;
}

/** Starts packages/dev-model and waits until it lists its models. `record` lets tests read what it was asked. */
export async function startDevModel(
  place: Place,
  port: number,
  options: { record?: boolean; onLaunch?: (process: ProcessIdentity) => void } = {},
): Promise<ProcessIdentity> {
  const log = join(place.logs, "dev-model.log");
  const args = ["--import", "tsx", "packages/dev-model/src/main.ts", "--port", String(port)];
  const process = launch({
    command: globalThis.process.execPath,
    args: options.record ? [...args, "--record"] : args,
    cwd: ROOT,
    env: { PATH: globalThis.process.env.PATH },
    log,
  });
  options.onLaunch?.(process);
  const isReady = () => answersOk(`${devModelBase(port)}/models`);
  await untilReady({ name: "The dev model", process, log, timeoutMs: START_TIMEOUT_MS, isReady });
  return process;
}

export function stopDevModel(process: ProcessIdentity): Promise<boolean> {
  return end(process, "SIGTERM", STOP_GRACE_MS);
}

/** Whether a GET is answered with a 2xx status soon. */
export async function answersOk(url: string, headers: Record<string, string> = {}): Promise<boolean> {
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
