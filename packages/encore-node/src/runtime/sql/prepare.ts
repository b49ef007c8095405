/** All databases of the app, migrated once in a process, whoever asks first. */

import type pino from "pino";
import { appPath, type Config, databaseUrl, loadConfig } from "../config.js";
import { makeLogger } from "../log.js";
import { migrate } from "./migrate.js";

let migrating: Promise<void> | null = null;

/** Migrates all databases, once in a process. */
export function migrateOnce(config: Config, log: pino.Logger): Promise<void> {
  migrating ??= migrateAll(config, log);
  return migrating;
}

async function migrateAll(config: Config, log: pino.Logger): Promise<void> {
  for (const db of config.meta.databases) {
    const dir = db.migrations === null ? null : appPath(config, db.migrations);
    const done = await migrate(db.name, databaseUrl(db.name), dir);
    if (done.length > 0) log.info({ database: db.name, files: done }, "migrations applied");
  }
}

/**
 * To be awaited before the app's modules are loaded: as with Encore, they find their databases migrated, also where
 * they use them while loading.
 */
export function prepare(): Promise<void> {
  const config = loadConfig();
  return migrateOnce(config, makeLogger(config.logLevel));
}
