import { place } from "../paths";
import { answersOk } from "../stack/dev-model";
import { readEnv } from "../stack/env-file";
import { lockHolder } from "../stack/lock";
import { TITLES } from "../stack/shutdown";
import { readState, runningServers, SERVERS } from "../stack/state";
import { dim, green, red, yellow } from "../terminal/style";

/** `./graphyn status`: what runs where, one line each. Exit code 0 if Graphyn answers, 1 if not. */
export async function status(): Promise<number> {
  const here = place("start");
  const state = readState(here.state);
  const running = new Map(runningServers(state).map(({ name, process }) => [name, process]));
  if (running.size === 0) {
    console.log("Graphyn is not running. ./graphyn start starts it.");
    return 1;
  }
  for (const name of SERVERS) {
    const known = state.processes[name];
    if (!known) continue;
    const process = running.get(name);
    const port = state.ports[name];
    const text = process ? `127.0.0.1:${port}  ${dim(`pid ${process.pid}`)}` : "ended by itself; see ./graphyn logs";
    console.log(`  ${process ? green("✓") : red("✗")} ${TITLES[name].padEnd(12)}${text}`);
  }
  const url = readEnv(here.env).GRAPHYN_URL ?? "";
  const isReady = state.readyAt !== undefined && (await answersOk(`${url}/health`));
  if (isReady) console.log(`\n  ${green("Ready")} since ${state.readyAt}: ${url}`);
  else if (lockHolder(here.lock) && !state.readyAt) console.log(`\n  ${yellow("Starting")}: not ready yet.`);
  else console.log(`\n  ${red("Not ready")}: ./graphyn doctor says what is wrong.`);
  return isReady ? 0 : 1;
}
