import { EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import log from "encore.dev/log";
import { Logger, type Runner, run, runMigrations, type WorkerEvents } from "graphile-worker";
import { Pool } from "pg";
import { db } from "../db/graphyn";
import { copyEmbeddings } from "./copy-embeddings";
import { embedImported } from "./embed-imported";
import { embedMessage } from "./embed-message";
import { forgetConversation } from "./forget-conversation";
import { forgetFailedJobs } from "./forget-failed-jobs";
import { leaveThreads } from "./leave-threads";

const CONCURRENT_JOBS_MAX = 4;
const CONNECTIONS_MAX = CONCURRENT_JOBS_MAX + 2;
/**
 * Jobs that were enqueued with a delay are found by this (42_later_jobs_wake_nobody.up.sql); others are told by a notification, and by this
 * when that was lost. Each worker looks so often, which takes 1 % of a core of an idle process more than once a second would. But with that,
 * the jobs of a second are done all at once, and messages wait behind them: at 20 a second 34 of 929 took more than 20 ms to a reader here or
 * 40 to one elsewhere, and with this 13 of 619.
 */
const POLL_MS = 250;
/** Before workers that were lost begin anew, and before the next try while the database is away. */
const AGAIN_MS = 1_000;

/** For a connection to be made, and for a statement of the queue: they take milliseconds, where the database is there. */
const CONNECT_MS_MAX = 10_000;
const STATEMENT_MS_MAX = 20_000;

const logger = new Logger(() => (level, message) => {
  if (level === "error") log.error(message);
  else if (level === "warning") log.warn(message);
});

// Jobs speak LISTEN, which Encore's SQLDatabase does not: so a pool of their own, on the same database.
export const pgPool = new Pool({
  connectionString: db.connectionString,
  max: CONNECTIONS_MAX,
  connectionTimeoutMillis: CONNECT_MS_MAX,
  query_timeout: STATEMENT_MS_MAX,
  keepAlive: true,
});
pgPool.on("error", (error) => log.warn("an idle connection of the job worker broke", { error: error.message }));
// pg gives up the statement and not its connection, on which everything after it would wait for the same answer.
pgPool.on("release", (_error, client) => {
  if (!(client as unknown as { readyForQuery: boolean }).readyForQuery) client.end();
});

// Before the first request: a message is stored only together with its job.
await runMigrations({ pgPool, logger });

const taskList = {
  copy_embeddings: copyEmbeddings,
  embed_imported: embedImported,
  embed_message: embedMessage,
  forget_conversation: forgetConversation,
  forget_failed_jobs: forgetFailedJobs,
  leave_threads: leaveThreads,
};
/** Every hour, once however many processes run. */
const crontab = "17 * * * * forget_failed_jobs";

let isEnding = false;
let runner = begin();
runner.catch((error) => log.error("the job worker could not start", { error: String(error) }));

/**
 * graphile-worker 0.16 has no new worker for one whose connection broke while it told of its job (its main.js: "TODO: handle when a worker
 * shuts down"). Once the last is gone no job is done any more, and nothing tells. So all begin anew.
 */
function begin(): Promise<Runner> {
  const events: WorkerEvents = new EventEmitter();
  let isWhole = true;
  const begun = run({
    pgPool,
    logger,
    taskList,
    crontab,
    concurrency: CONCURRENT_JOBS_MAX,
    pollInterval: POLL_MS,
    noHandleSignals: true,
    events,
  });
  events.on("worker:stop", () => {
    if (!isWhole || isEnding) return;
    isWhole = false;
    void replace(begun);
  });
  return begun;
}

async function replace(old: Promise<Runner>): Promise<void> {
  log.warn("a job worker was lost; all of them begin anew");
  await old.then((it) => it.stop()).catch(() => undefined);
  for (let isBack = false; !isBack && !isEnding; ) {
    await sleep(AGAIN_MS);
    runner = begin();
    isBack = await runner.then(
      () => true,
      () => false,
    );
  }
}

/** Takes no more jobs and resolves when those under way have ended, or were given back after graphile-worker's five seconds. */
export async function stopWorker(): Promise<void> {
  isEnding = true;
  await (await runner).stop();
}
