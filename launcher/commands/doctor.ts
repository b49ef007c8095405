import { Fault } from "../fault";
import { GRAPHYN_DIR, place } from "../paths";
import { answersOk } from "../stack/dev-model";
import { checkDisk, INSTALL_BYTES_MIN, START_BYTES_MIN } from "../stack/disk";
import { readEnv } from "../stack/env-file";
import { LETTA_DIR } from "../stack/install-letta";
import { wheelDir } from "../stack/install-postgres";
import { isInstalled } from "../stack/installed";
import { ownParts } from "../stack/own-parts";
import { portHolder } from "../stack/port-holder";
import { isPortFree } from "../stack/ports";
import { findPython } from "../stack/python";
import { TITLES } from "../stack/shutdown";
import { readState, runningServers, SERVERS } from "../stack/state";
import { LETTA_VERSION, POSTGRES_VERSION } from "../stack/versions";
import { green, red, yellow } from "../terminal/style";

const PORT = 4000;

/** What a check found: fine, worth knowing, or wrong with what to do. */
type Finding = { state: "ok" | "note" | "bad"; text: string; next?: string };

/** `./graphyn doctor`: looks at everything a start needs and at everything that runs; changes nothing. */
export async function doctor(): Promise<number> {
  const here = place("start");
  const running = runningServers(readState(here.state));
  const findings: [string, Finding][] = [
    ["Node.js", { state: "ok", text: process.versions.node }],
    ["Python", await attempt(async () => `3.${(await findPython()).minor}`)],
    ["Disk", await attempt(() => disk())],
    ["PostgreSQL", installation(wheelDir(), POSTGRES_VERSION)],
    ["Letta", installation(LETTA_DIR, LETTA_VERSION)],
  ];
  if (running.length === 0) findings.push(["Port", await port()]);
  else findings.push(...(await servers()));
  for (const [name, { state, text, next }] of findings) {
    const mark = { ok: green("✓"), note: yellow("·"), bad: red("✗") }[state];
    console.log(`  ${mark} ${name.padEnd(16)}${text}${next ? `\n${" ".repeat(20)}${next}` : ""}`);
  }
  return findings.some(([, { state }]) => state === "bad") ? 1 : 0;
}

async function attempt(check: () => Promise<string>): Promise<Finding> {
  try {
    return { state: "ok", text: await check() };
  } catch (error) {
    if (error instanceof Fault) return { state: "bad", text: error.message, next: error.nextStep };
    throw error;
  }
}

async function disk(): Promise<string> {
  await checkDisk(GRAPHYN_DIR, isInstalled(LETTA_DIR) ? START_BYTES_MIN : INSTALL_BYTES_MIN);
  return "enough free space";
}

function installation(dir: string, version: string): Finding {
  if (isInstalled(dir)) return { state: "ok", text: `${version} installed` };
  return { state: "note", text: `${version} not installed yet`, next: "./graphyn start installs it." };
}

async function port(): Promise<Finding> {
  if (await isPortFree(PORT)) return { state: "ok", text: `${PORT} is free` };
  const next = `Stop that program, or ./graphyn start --port ${PORT + 1}`;
  return { state: "bad", text: `${PORT} is taken by ${(await portHolder(PORT)) ?? "another program"}`, next };
}

async function servers(): Promise<[string, Finding][]> {
  const here = place("start");
  const state = readState(here.state);
  const running = new Set(runningServers(state).map(({ name }) => name));
  const dead = SERVERS.filter((name) => state.processes[name] && !running.has(name));
  const findings: [string, Finding][] = dead.map((name) => [
    TITLES[name],
    { state: "bad", text: "ended by itself", next: `./graphyn logs ${name}, then ./graphyn stop and start` },
  ]);
  const { GRAPHYN_URL, GRAPHYN_API_KEY, LETTA_API_URL, LETTA_API_KEY } = readEnv(here.env);
  const asked: [string, Promise<boolean>][] = [
    ["Graphyn answers", answersOk(`${GRAPHYN_URL}/health`)],
    ["Key works", answersOk(`${GRAPHYN_URL}/threads?limit=1`, { authorization: `Bearer ${GRAPHYN_API_KEY}` })],
    ["Letta answers", answersOk(`${LETTA_API_URL}/v1/health/`, { authorization: `Bearer ${LETTA_API_KEY}` })],
    ["Letta by org.", answersOk(`${GRAPHYN_URL}/letta/health`, { authorization: `Bearer ${GRAPHYN_API_KEY}` })],
  ];
  if (!ownParts(process.env).letta)
    asked.push(["Letta is shut", answersOk(`${LETTA_API_URL}/v1/agents/`).then((open) => !open)]);
  for (const [name, answer] of asked) {
    findings.push([
      name,
      (await answer)
        ? { state: "ok", text: "yes" }
        : { state: "bad", text: "no", next: "./graphyn logs graphyn letta" },
    ]);
  }
  return findings;
}
