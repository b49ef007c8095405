/** What is looked up when /metrics is read: how things stand now. */
import log from "encore.dev/log";
import { Gauge } from "prom-client";
import { jobs } from "~encore/clients";
import { dispatch } from "../db/tenant";
import { letta } from "../letta/client";
import { registry } from "../lib/metrics";
import { upstreams } from "../models/upstreams/configured";
import { connectionsOf } from "../models/upstreams/connections";

/** Milliseconds that looking something up may take. A scrape must not wait for a database that hangs. */
const LOOK_MS_MAX = 2_000;

const gauge = (name: string, help: string, ...labelNames: string[]) =>
  new Gauge({ name: `graphyn_${name}`, help, labelNames, registers: [registry] });

const turns = gauge("turns", "Turns that are queued or running, in all processes.", "state");
const jobsNow = gauge("jobs", "Background jobs, in all processes. failed: those that used up their attempts.", "state");
const oldestJob = gauge("jobs_oldest_waiting_seconds", "How long the oldest job that could run has waited.");
const lettaActive = gauge(
  "letta_active",
  "Requests to Letta that have a place. stream: answers; call: the rest; conversation: those that make one, which are calls too.",
  "kind",
);
const lettaPlaces = gauge("letta_places", "Requests to Letta that this process makes at once, at most.", "kind");
const lettaWaiting = gauge(
  "letta_waiting",
  "Requests to Letta that wait for a place, in the queue that is fair between organizations.",
  "kind",
);
const lettaInFlight = gauge("letta_in_flight", "Answers that a Letta server gives to this process.", "server");
const lettaBreaker = gauge("letta_breaker", "1 for the state in which a Letta server's breaker is.", "server", "state");
const lettaStale = gauge(
  "letta_stale_retries",
  "Requests repeated since the process began because a Letta server had closed their kept connection.",
  "server",
);
const upstreamInFlight = gauge(
  "upstream_in_flight",
  "Requests of this process at an upstream of the model gateway.",
  "upstream",
);

/** Sets all of them to what is now. */
export async function lookUp(): Promise<void> {
  lookAtLetta();
  for (const upstream of upstreams()) {
    upstreamInFlight.set({ upstream: upstream.name }, connectionsOf(upstream).inFlight);
  }
  await Promise.all([look("turns", lookAtTurns), look("jobs", lookAtJobs)]);
}

function lookAtLetta(): void {
  const { servers, queues } = letta().figures();
  for (const [kind, queue] of Object.entries(queues)) {
    lettaActive.set({ kind }, queue.active);
    lettaPlaces.set({ kind }, queue.places);
    lettaWaiting.set({ kind }, queue.waiting);
  }
  for (const { name: server, breaker, in_flight, stale_retries } of servers) {
    for (const state of ["closed", "half_open", "open"]) lettaBreaker.set({ server, state }, breaker === state ? 1 : 0);
    lettaInFlight.set({ server }, in_flight);
    lettaStale.set({ server }, stale_retries);
  }
}

async function lookAtTurns(): Promise<void> {
  turns.reset();
  const rows = await dispatch(
    (tx) => tx.queryAll<{ state: string; n: number }>`
      select state, count(*)::int as n from turns where state in ('queued', 'running') group by state`,
  );
  for (const state of ["queued", "running"]) turns.set({ state }, rows.find((row) => row.state === state)?.n ?? 0);
}

async function lookAtJobs(): Promise<void> {
  jobsNow.reset();
  const queue = await jobs.jobQueue();
  for (const state of ["waiting", "running", "failed"] as const) jobsNow.set({ state }, queue[state]);
  oldestJob.set(queue.oldest_waiting_seconds);
}

/** A part that cannot be read is left out, and the others are shown. */
async function look(what: string, looking: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${LOOK_MS_MAX} ms`)), LOOK_MS_MAX);
  });
  try {
    await Promise.race([looking(), late]);
  } catch (error) {
    log.warn("a part of the metrics could not be read", { what, error: String(error) });
  } finally {
    clearTimeout(timer);
  }
}
