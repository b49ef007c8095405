/** `runtime.Runtime`: what encore.dev asks of Encore's native library, answered by this package. */

import { randomUUID } from "node:crypto";
import { describeApp } from "./app-meta.js";
import { type Config, databaseUrl, loadConfig, secretValue } from "./config.js";
import { setDecimalConstructor } from "./decimal.js";
import { type App, compileApp, endpointKey } from "./http/app.js";
import { apiCall, type CallOpts, callsEnded } from "./http/call.js";
import type { Handler } from "./http/endpoint.js";
import { Logger, makeLogger } from "./log.js";
import type { Request } from "./request.js";
import { type RunningServer, startServer } from "./server.js";
import { SQLDatabase } from "./sql/database.js";
import { Pool } from "./sql/pool.js";
import { migrateOnce } from "./sql/prepare.js";
import { connectStream } from "./stream/call.js";
import { unsupported } from "./unsupported.js";

/** encore.dev compares this with its own version. */
const VERSION = "v1.58.6";
/** A transaction that nobody goes on with is ended by the server. */
const IDLE_TRANSACTION_MS = 60_000;
const EXIT_FAILED = 1;
const EXIT_SECOND_SIGNAL = 130;

interface RuntimeOptions {
  testMode?: boolean;
  typeConstructors?: { decimal?: (value: string) => unknown };
}

interface ApiRoute {
  service: string;
  name: string;
  handler: Handler;
}

export class Runtime {
  private readonly config: Config;
  private readonly app: App;
  private readonly databases = new Map<string, SQLDatabase>();
  private readonly migrated: Promise<void>;
  private readonly rootLogger: Logger;
  private readonly deployId = randomUUID();

  constructor(options: RuntimeOptions) {
    const decimal = options.typeConstructors?.decimal;
    if (decimal) setDecimalConstructor(decimal);
    this.config = loadConfig();
    const log = makeLogger(this.config.logLevel);
    this.app = compileApp(this.config, log);
    this.rootLogger = new Logger(log);
    this.checkSecrets();
    this.migrated = migrateOnce(this.config, log);
    // Reported by runForever; until then it must not count as unhandled.
    this.migrated.catch(() => {});
    for (const db of this.config.meta.databases) this.openDatabase(db.name);
  }

  static version(): string {
    return VERSION;
  }

  static buildCommit(): string {
    return "encore-node";
  }

  /** Before anything is served: outside the local environment a missing secret stops the start. */
  private checkSecrets(): void {
    const missing = this.config.meta.secrets.filter((name) => secretValue(name) === null);
    if (missing.length === 0) return;
    const names = missing.join(", ");
    if (!this.config.local) {
      console.error(`encore-node: these secrets are not set: ${names}; set ENCORE_NODE_SECRET_<name> for each`);
      process.exit(EXIT_FAILED);
    }
    this.app.log.warn({ secrets: missing }, "secrets without a value are empty in the local environment");
  }

  private openDatabase(name: string): SQLDatabase {
    const url = databaseUrl(name);
    const pool = new Pool(
      {
        connectionString: url,
        statement_timeout: this.config.statementTimeoutMs,
        idle_in_transaction_session_timeout: IDLE_TRANSACTION_MS,
        application_name: "encore-node",
      },
      this.config.poolSize,
      this.config.local,
    );
    const db = new SQLDatabase(url, pool, this.migrated);
    this.databases.set(name, db);
    return db;
  }

  sqlDatabase(name: string): SQLDatabase {
    const db = this.databases.get(name);
    if (!db)
      throw new Error(
        `encore-node: the database "${name}" is not declared in this app; declare it with new SQLDatabase("${name}", { migrations })`,
      );
    return db;
  }

  registerHandlers(routes: ApiRoute[]): void {
    for (const route of routes) this.registerHandler(route);
  }

  registerHandler(route: ApiRoute): void {
    const endpoint = this.app.endpoints.get(endpointKey(route.service, route.name));
    if (endpoint) endpoint.handler = route.handler;
  }

  registerTestHandler(route: ApiRoute): void {
    this.registerHandler(route);
  }

  gateway(_name: string, cfg: { auth?: Handler }): Gateway {
    if (this.app.auth && cfg.auth) this.app.auth.handler = cfg.auth;
    return new Gateway();
  }

  secret(name: string): Secret | null {
    const value = secretValue(name);
    return value === null ? null : new Secret(value);
  }

  logger(): Logger {
    return this.rootLogger;
  }

  apiCall(
    service: string,
    endpoint: string,
    payload?: unknown,
    source?: Request | null,
    opts?: CallOpts | null,
  ): Promise<unknown> {
    return apiCall(this.app, service, endpoint, payload, source, opts);
  }

  async stream(
    service: string,
    endpoint: string,
    payload?: unknown,
    source?: Request | null,
    opts?: CallOpts | null,
  ): Promise<unknown> {
    return connectStream(this.app, service, endpoint, payload, source, opts);
  }

  appMeta(): unknown {
    return describeApp(this.config, this.deployId);
  }

  runtimeConfig(): unknown {
    return { metrics: {} };
  }

  numWorkerThreads(): number {
    return 1;
  }

  createMetricsRegistry(): void {}

  getMetricsRegistry(): unknown {
    return { allocateSlot: () => unsupported("metrics (Counter, Gauge)"), slotCount: () => 0 };
  }

  pubsubTopic(name: string): never {
    return unsupported(`Topic "${name}"`);
  }

  pubsubSubscription(cfg: { subscriptionName: string }): never {
    return unsupported(`Subscription "${cfg.subscriptionName}"`);
  }

  bucket(name: string): never {
    return unsupported(`Bucket "${name}"`);
  }

  cacheCluster(name: string): never {
    return unsupported(`CacheCluster "${name}"`);
  }

  /** Migrates, serves, and resolves with the exit code once a signal has been obeyed. */
  async runForever(): Promise<number> {
    const signal = nextSignal();
    let server: RunningServer;
    try {
      await this.migrated;
      await Promise.all([...this.databases.values()].map((db) => db.pool.warm()));
      server = await startServer(this.app);
    } catch (e) {
      console.error(e instanceof Error ? e.message : e);
      return EXIT_FAILED;
    }
    const { config, app } = this;
    app.log.info({ host: config.host, port: server.port, env: config.env }, "encore-node is ready");
    process.send?.({ type: "ready", port: server.port });
    const name = await signal;
    app.log.info({ signal: name, drain_ms: config.drainMs }, "shutting down");
    nextSignal().then(() => process.exit(EXIT_SECOND_SIGNAL));
    await Promise.all([server.stop(config.drainMs), callsEnded(app, config.drainMs)]);
    await Promise.allSettled([...this.databases.values()].map((db) => db.pool.close()));
    app.log.info("stopped");
    app.log.flush();
    return 0;
  }
}

function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve(name));
  });
}

export class Gateway {}

export class Secret {
  constructor(private readonly value: string) {}
  cached(): string {
    return this.value;
  }
}
