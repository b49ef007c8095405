/**
 * What this process counts and times, for `GET /metrics` (system/metrics.ts). No label names an organization, a thread, an agent or a model,
 * nor holds anybody's text: each has few values, all of them ours or the operator's. Units are in the names.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export const registry = new Registry();
collectDefaultMetrics({ register: registry });
const registers = [registry];

/** Seconds, for what people wait for. */
const WAITS_S = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 120];
/** Seconds, for what should be there at once. */
const DELAYS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

export const firstToken = new Histogram({
  name: "graphyn_first_token_seconds",
  help: "From the start of a turn to its first word.",
  buckets: WAITS_S,
  registers,
});

export const deliveryDelay = new Histogram({
  name: "graphyn_delivery_delay_seconds",
  help: "From a message's transaction to its delivery to the readers of this process, by the clocks of database and process.",
  buckets: DELAYS_S,
  registers,
});

export const connections = new Gauge({
  name: "graphyn_connections",
  help: "Open streams of threads.",
  labelNames: ["transport"] as const, // "sse" or "websocket"
  registers,
});
for (const transport of ["sse", "websocket"]) connections.set({ transport }, 0);

export const turnsEnded = new Counter({
  name: "graphyn_turns_ended_total",
  help: "Turns that ended in this process. `reason` is why one failed, else empty.",
  labelNames: ["outcome", "reason"] as const,
  registers,
});

export const upstreamRequests = new Counter({
  name: "graphyn_upstream_requests_total",
  help: "Chat requests to upstreams of the model gateway; `outcome` is ok, or why it failed.",
  labelNames: ["upstream", "outcome"] as const,
  registers,
});

export const upstreamFirstToken = new Histogram({
  name: "graphyn_upstream_first_token_seconds",
  help: "From a request to an upstream to its first event.",
  labelNames: ["upstream"] as const,
  buckets: WAITS_S,
  registers,
});

export const modelTokens = new Counter({
  name: "graphyn_model_tokens_total",
  help: "Tokens of calls to models, as providers count them, else estimated.",
  labelNames: ["purpose", "kind"] as const, // kind: prompt, completion
  registers,
});

export const modelCalls = new Counter({
  name: "graphyn_model_calls_total",
  help: "Calls to models that were accounted to an organization, by what they were for.",
  labelNames: ["purpose"] as const,
  registers,
});

export const guessesMade = new Counter({
  name: "graphyn_guesses_total",
  help: "Requests asked ahead of Letta. hit: Letta asked the same; miss: something else; unused: nothing.",
  labelNames: ["outcome"] as const,
  registers,
});
for (const outcome of ["hit", "miss", "unused"]) guessesMade.inc({ outcome }, 0);

export const sessionsRefused = new Counter({
  name: "graphyn_sessions_refused_total",
  help: "Session tokens that were refused, by why.",
  labelNames: ["reason"] as const,
  registers,
});

export const clerkEvents = new Counter({
  name: "graphyn_clerk_events_total",
  help: "Webhooks of Clerk. applied; outdated: no news; replayed; unknown: of no concern here; refused; failed: to come again.",
  labelNames: ["outcome"] as const,
  registers,
});
for (const outcome of ["applied", "outdated", "replayed", "unknown", "refused", "failed"])
  clerkEvents.inc({ outcome }, 0);

export const reservations = new Counter({
  name: "graphyn_reservations_total",
  help: "What limits were asked for before models were, where any hold. granted: it fitted; refused: it did not.",
  labelNames: ["outcome"] as const,
  registers,
});
for (const outcome of ["granted", "refused"]) reservations.inc({ outcome }, 0);

export const budgetStops = new Counter({
  name: "graphyn_budget_stops_total",
  help: "Turns that were stopped because a limit was reached while they ran.",
  registers,
});
