import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Api } from "../conversation/api";
import { firstConversation } from "../conversation/first-conversation";
import { ensureApiKey } from "../conversation/organization";
import { agentIds, warmUp } from "../conversation/warm-up";
import { Fault } from "../fault";
import { type Place, place } from "../paths";
import { writeEnv } from "../stack/env-file";
import { buildGraphyn, startGraphyn } from "../stack/graphyn";
import { defaultHandle } from "../stack/handles";
import { tryLock } from "../stack/lock";
import { ownParts } from "../stack/own-parts";
import { portHolder } from "../stack/port-holder";
import { isPortFree } from "../stack/ports";
import { isRunning } from "../stack/process-identity";
import { logTail } from "../stack/processes";
import { loadSecrets } from "../stack/secrets";
import { type Servers, startServers } from "../stack/servers";
import { stopServers, TITLES } from "../stack/shutdown";
import { readState, runningServers, type SERVERS, updateState } from "../stack/state";
import { seconds, step } from "../terminal/progress";
import { bold, dim, green, yellow } from "../terminal/style";
import { onInterrupt } from "./interrupt";
import { readOptions, readPort } from "./options";

const HOST = process.env.GRAPHYN_HOST ?? "127.0.0.1";
const WATCH_INTERVAL_MS = 500;

/** `./graphyn start`: everything up, one conversation held, then in the foreground until Ctrl-C, or back with `--detach`. */
export async function start(args: readonly string[]): Promise<number> {
  const { values } = readOptions(args, {
    detach: { type: "boolean", short: "d" },
    port: { type: "string" },
    "no-conversation": { type: "boolean" },
  });
  const port = readPort(values.port);
  const here = place("start");
  const taken = tryLock(here.lock);
  if ("holder" in taken) return alreadyRunning(here, taken.holder.pid);
  const interruption = onInterrupt(async () => {
    await stopServers(here);
    taken.release();
  });
  try {
    if (readState(here.state).readyAt && runningServers(readState(here.state)).some(({ name }) => name === "graphyn")) {
      return alreadyRunning(here);
    }
    await bringUp(here, port, values["no-conversation"] === true);
    if (values.detach) return 0;
    console.log(`  ${dim("Ctrl-C stops everything; ./graphyn status, chat and logs work from another terminal.")}\n`);
    const ended = await watch(here);
    if (interruption.isStopping()) return interruption.finished; // it was us who ended it
    await interruption.whileStopping(() => stopServers(here));
    throw new Fault(
      `${TITLES[ended]} ended by itself. Its last lines:\n${logTail(join(here.logs, `${ended}.log`))}`,
      `All of it: ./graphyn logs ${ended}`,
    );
  } catch (error) {
    if (interruption.isStopping()) return interruption.finished;
    if (runningServers(readState(here.state)).length > 0) {
      console.log();
      await stopServers(here);
    }
    throw error;
  } finally {
    if (!interruption.isStopping()) taken.release();
  }
}

async function bringUp(here: Place, port: number, isQuiet: boolean): Promise<void> {
  const startedAt = performance.now();
  console.log(`\n  ${bold("Graphyn")}\n`);
  await clearLeftovers(here);
  await requirePort(port);
  const secrets = loadSecrets(here.secrets);
  // The build takes some seconds of a core that Letta leaves idle while it asks its database.
  const building = buildGraphyn();
  building.catch(() => undefined); // told by the step that waits for it
  const url = `http://${HOST === "127.0.0.1" ? "localhost" : HOST}:${port}`;
  const startIt = (servers: Servers) =>
    step("Graphyn", "building", async ({ say }) => {
      await building;
      say("starting");
      const { models, databaseUrl, lettaUrl, lettaKey } = servers;
      const model = await defaultHandle(models);
      const { embeddingsBase, embeddingsKey, graphynEnv } = models;
      await startGraphyn({
        place: here,
        host: HOST,
        port,
        databaseUrl,
        lettaUrl,
        lettaKey,
        embeddingsBase,
        embeddingsKey,
        model,
        secrets,
        env: graphynEnv,
        onLaunch: (process) => updateState(here.state, (state) => Object.assign(state.processes, { graphyn: process })),
      });
      updateState(here.state, (state) => Object.assign(state.ports, { graphyn: port }));
      return url;
    });
  const options = { place: here, secrets, own: ownParts(process.env), env: process.env };
  const servers = await startServers({ ...options, gateway: { port, start: startIt } });
  if (!servers.models.usesGateway) await startIt(servers);
  const key = await ensureApiKey(here, url, secrets);
  saveEnv(here, url, key, servers);
  updateState(here.state, (state) => {
    state.readyAt = new Date().toISOString();
  });
  console.log(`\n  ${green("Ready")} ${dim(`after ${seconds(performance.now() - startedAt)}`)}\n`);
  const api = { url, key };
  const isWarmedUp = servers.models.usesDevModel;
  if (!isQuiet && !readState(here.state).welcomed) await welcome(here, api, isWarmedUp);
  else if (isWarmedUp) await warmKnownAgents(api);
  sayNext(here, url, servers);
}

function saveEnv(here: Place, url: string, key: string, servers: Servers): void {
  writeEnv(here.env, {
    GRAPHYN_URL: url,
    GRAPHYN_API_KEY: key,
    DATABASE_URL: servers.databaseUrl,
    LETTA_API_URL: servers.lettaUrl,
    LETTA_API_KEY: servers.lettaKey,
    ...(servers.adminUrl ? { ADMIN_DATABASE_URL: servers.adminUrl } : {}),
    ...(servers.devModelUrl ? { DEV_MODEL_URL: servers.devModelUrl } : {}),
  });
}

/** Letta is slow once after each start; it is not the person who should meet that. A failure here is no reason to stop. */
async function warmKnownAgents(api: Api): Promise<void> {
  try {
    const agents = await agentIds(api);
    if (agents.length === 0) return;
    await step("Agents", "warming up", async () => {
      await warmUp(api, agents);
      return "warmed up\n";
    });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    console.log(`  ${yellow("The agents do not answer:")} ${error.message}\n  ${error.nextStep}\n`);
  }
}

/** The stack is up whatever the agents say, so a conversation that fails is told and does not end it. */
async function welcome(here: Place, api: Api, isWarmedUp: boolean): Promise<void> {
  try {
    const { threadId, answers } = await firstConversation(api, isWarmedUp);
    const isComplete = answers.every(({ error }) => error === undefined);
    updateState(here.state, (state) => {
      state.chatThread = threadId;
      state.welcomed = isComplete;
    });
    console.log();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    console.log(`  ${yellow("The first conversation could not be held:")} ${error.message}\n  ${error.nextStep}\n`);
  }
}

function sayNext(here: Place, url: string, servers: Servers): void {
  const env = relative(process.cwd(), here.env);
  const { description, usesDevModel } = servers.models;
  const rows: [string, string][] = [
    ["Say something", './graphyn chat "What comes after that?"'],
    ["API and docs", `${url}  ${url}/docs`],
    ["API key", `${env} (GRAPHYN_API_KEY, with the other addresses)`],
    ["Model", description],
  ];
  if (usesDevModel)
    rows.push(["", "set OPENAI_API_KEY, OPENAI_API_BASE or ANTHROPIC_API_KEY and start again for a real one"]);
  for (const [name, text] of rows) console.log(`  ${dim(name.padEnd(15))}${text}`);
  const thread = readState(here.state).chatThread;
  if (thread) {
    console.log(`\n  ${dim("The thread's stream, as any client reads it:")}`);
    console.log(
      `  . ${env.startsWith("/") ? env : `./${env}`}; curl -N -H "Authorization: Bearer $GRAPHYN_API_KEY" $GRAPHYN_URL/threads/${thread}/stream`,
    );
  }
  console.log();
}

/** What a start that was killed left running. */
async function clearLeftovers(here: Place): Promise<void> {
  if (runningServers(readState(here.state)).length === 0) return;
  console.log(`  ${dim("An earlier start was cut off; stopping what it left.")}`);
  await stopServers(here);
}

/** @throws Fault naming who holds the port, if the system tells. */
async function requirePort(port: number): Promise<void> {
  if (await isPortFree(port, HOST)) return;
  const holder = await portHolder(port);
  throw new Fault(
    `Port ${port} is taken${holder ? ` by ${holder}` : ""}.`,
    `Stop that program, or choose another port: ./graphyn start --port ${port + 1}`,
  );
}

function alreadyRunning(here: Place, pid?: number): number {
  const { ports, readyAt } = readState(here.state);
  if (!readyAt) {
    throw new Fault(
      `Another ./graphyn start (pid ${pid}) is just starting.`,
      "Wait for it, or end it with ./graphyn stop.",
    );
  }
  console.log(
    `Graphyn is running already: http://localhost:${ports.graphyn}. ./graphyn status says more, ./graphyn stop ends it.`,
  );
  return 0;
}

/** Returns the name of the first server that ends. */
async function watch(here: Place): Promise<(typeof SERVERS)[number]> {
  const started = runningServers(readState(here.state));
  for (;;) {
    const ended = started.find(({ process }) => !isRunning(process));
    if (ended) return ended.name;
    await sleep(WATCH_INTERVAL_MS);
  }
}
