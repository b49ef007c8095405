import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { Fault } from "../fault";
import type { Place } from "../paths";
import { postgresPrograms } from "./install-postgres";
import { commandLine, identify, type ProcessIdentity } from "./process-identity";
import { end, launch, untilReady } from "./processes";
import { run, tail } from "./run";
import { dataHome, makeOwned, systemUser } from "./server-home";

const INITDB_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 60_000; // crash recovery may come first
const STOP_GRACE_MS = 30_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** Letter case of any language in full text search; the first that this system knows. */
const LOCALES = ["C.UTF-8", "en_US.UTF-8", "C"];

/** Settings of the embedded server. It listens on loopback only, and its log holds no people's text. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "300", // Letta keeps up to 80, and tests start a second one
  shared_buffers: "256MB",
  jit: "off", // compiling costs more than it saves on statements of a few ms
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
};
/** For tests: their data need not survive a power cut. */
const FORGETFUL: Readonly<Record<string, string>> = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
};

export interface Postgres {
  readonly process: ProcessIdentity;
  readonly port: number;
  /** `postgresql://postgres:…@127.0.0.1:port/postgres`, the superuser. */
  readonly adminUrl: string;
}

export function adminUrl(port: number, password: string, database = "postgres"): string {
  return `postgresql://postgres:${password}@127.0.0.1:${port}/${database}`;
}

/** Where a place's database files are. */
export function dataDir(place: Place): string {
  return join(dataHome(), place.name);
}

/** Makes the database files once: in a folder beside, renamed when complete, so a killed attempt leaves nothing half done. */
export async function initPostgres(place: Place, password: string): Promise<boolean> {
  const dir = dataDir(place);
  if (existsSync(dir)) return false;
  const user = systemUser();
  const work = `${dir}.partial`;
  rmSync(work, { recursive: true, force: true });
  makeOwned(work);
  const passwordFile = join(work, "password");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (user) chownSync(passwordFile, user.uid, user.gid);
  const made = join(work, "data");
  let last = "";
  for (const locale of LOCALES) {
    const args = [
      "-D",
      made,
      "-U",
      "postgres",
      "--auth=scram-sha-256",
      `--pwfile=${passwordFile}`,
      "--encoding=UTF8",
      `--locale=${locale}`,
    ];
    const { code, output } = await run(join(postgresPrograms(), "initdb"), args, {
      cwd: work,
      env: { PATH: process.env.PATH },
      uid: user?.uid,
      gid: user?.gid,
      timeoutMs: INITDB_TIMEOUT_MS,
    });
    if (code === 0) {
      renameSync(made, dir);
      rmSync(work, { recursive: true, force: true });
      return true;
    }
    last = output;
    rmSync(made, { recursive: true, force: true });
  }
  throw new Fault(
    `PostgreSQL could not make its database files.\n${tail(last)}`,
    `Check that ${dataHome()} can be written to.`,
  );
}

/** Starts PostgreSQL on `port` and waits until it answers; one left over from a killed start is ended first. */
export async function startPostgres(
  place: Place,
  port: number,
  password: string,
  options: { forgetful?: boolean; onLaunch?: (process: ProcessIdentity) => void } = {},
): Promise<Postgres> {
  const dir = dataDir(place);
  await endLeftover(dir);
  const user = systemUser();
  const settings = { ...SETTINGS, ...(options.forgetful ? FORGETFUL : {}), port: String(port) };
  const log = join(place.logs, "postgres.log");
  mkdirSync(place.logs, { recursive: true });
  const process = launch({
    command: join(postgresPrograms(), "postgres"),
    args: ["-D", dir, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    cwd: dataHome(),
    env: { PATH: globalThis.process.env.PATH, TZ: "UTC" },
    log,
    uid: user?.uid,
    gid: user?.gid,
  });
  options.onLaunch?.(process);
  const url = adminUrl(port, password);
  await untilReady({ name: "PostgreSQL", process, log, timeoutMs: START_TIMEOUT_MS, isReady: () => answers(url) });
  return { process, port, adminUrl: url };
}

/** Fast shutdown: open transactions are rolled back, everything committed is on disk. */
export function stopPostgres(process: ProcessIdentity): Promise<boolean> {
  return end(process, "SIGINT", STOP_GRACE_MS);
}

/** A `postmaster.pid` names the server that has, or had, these files. Ends that server, or removes the file of a dead one. */
async function endLeftover(dir: string): Promise<void> {
  const file = join(dir, "postmaster.pid");
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, "utf8").split("\n")[0]);
  const leftover = Number.isInteger(pid) && pid > 1 ? identify(pid) : undefined;
  if (leftover && commandLine(pid).includes(dir)) await stopPostgres(leftover);
  rmSync(file, { force: true });
}

/** @throws Fault if the server is there and refuses the password, as waiting would not help. */
async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "28P01") {
      throw new Fault(
        "PostgreSQL refuses the password in secrets.json: the file was replaced after the database was made.",
        "Put the old secrets.json back, or remove .graphyn/data and start with an empty database.",
      );
    }
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
