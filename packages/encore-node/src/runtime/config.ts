/** What the environment says; see SPEC.md, "Lifecycle". */

import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { AppMeta } from "../meta.js";

const DEFAULT_PORT = 4000;
const DEFAULT_DRAIN_MS = 10_000;
const DEFAULT_POOL = 10; // connections
const DEFAULT_STATEMENT_TIMEOUT_MS = 60_000;

export interface Config {
  meta: AppMeta;
  metaDir: string;
  host: string;
  port: number;
  env: string;
  /** Encore's local environment: internal messages are shown and private endpoints answer. */
  local: boolean;
  drainMs: number;
  poolSize: number;
  statementTimeoutMs: number;
  logLevel: string;
}

export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const path = env.ENCORE_NODE_META;
  if (!path)
    throw new Error(
      "encore-node: ENCORE_NODE_META is not set; start the app with `encore-node dev` or `encore-node start`",
    );
  const name = env.ENCORE_NODE_ENV || "local";
  return {
    meta: withOrigins(JSON.parse(readFileSync(path, "utf8")) as AppMeta, env.ENCORE_NODE_CORS_ORIGINS),
    metaDir: dirname(resolve(path)),
    host: env.ENCORE_NODE_HOST || "127.0.0.1",
    port: integer(env, "ENCORE_NODE_PORT", DEFAULT_PORT, 0),
    env: name,
    local: name === "local",
    drainMs: integer(env, "ENCORE_NODE_DRAIN_MS", DEFAULT_DRAIN_MS, 0),
    poolSize: integer(env, "ENCORE_NODE_DB_POOL", DEFAULT_POOL, 1),
    statementTimeoutMs: integer(env, "ENCORE_NODE_DB_STATEMENT_TIMEOUT_MS", DEFAULT_STATEMENT_TIMEOUT_MS, 1),
    logLevel: env.ENCORE_NODE_LOG || env.ENCORE_LOG_LEVEL || "info",
  };
}

/** The app as built, with this deployment's own origins in place of `allow_origins_with_credentials`. */
export function withOrigins(meta: AppMeta, list: string | undefined): AppMeta {
  const origins = (list ?? "")
    .split(",")
    .map((origin) => origin.trim().toLowerCase().replace(/\/+$/, ""))
    .filter((origin) => origin !== "");
  return origins.length === 0 ? meta : { ...meta, cors: { ...meta.cors, allowOriginsWithCredentials: origins } };
}

function integer(env: NodeJS.ProcessEnv, name: string, fallback: number, least: number): number {
  const text = env[name];
  if (!text) return fallback;
  const n = Number(text);
  if (!Number.isInteger(n) || n < least)
    throw new Error(`encore-node: ${name}=${text} is not a whole number of at least ${least}`);
  return n;
}

/** The folder that paths in the build are relative to: told by the starter, else found above the build or the working directory. */
export function appPath(config: Config, path: string): string {
  const roots = [
    process.env.ENCORE_NODE_APP_ROOT,
    config.metaDir,
    dirname(config.metaDir),
    dirname(dirname(config.metaDir)),
    process.cwd(),
  ];
  for (const root of roots) {
    if (root && existsSync(resolve(root, path))) return resolve(root, path);
  }
  throw new Error(
    `encore-node: the folder ${path} of this app is neither beside the build nor below the working directory; set ENCORE_NODE_APP_ROOT`,
  );
}

/** Null: not set. */
export function secretValue(name: string): string | null {
  return process.env[`ENCORE_NODE_SECRET_${name}`] ?? process.env[name] ?? null;
}

export function databaseUrl(name: string): string {
  const own = `ENCORE_NODE_DB_${name.toUpperCase().replaceAll("-", "_")}`;
  const url = process.env[own] ?? process.env.DATABASE_URL;
  if (!url)
    throw new Error(
      `encore-node: the database "${name}" has no address; set ${own} or DATABASE_URL to postgres://user:password@host:port/name`,
    );
  return url;
}
