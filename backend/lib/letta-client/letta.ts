import type { Letta as OfficialClient } from "@letta-ai/letta-client";
import { FairQueue, type QueueRefusal } from "../fair-queue";
import { createAdmin, type LettaAdmin } from "./admin";
import { onBestServer } from "./choose-server";
import { DEFAULT_LIMITS, type LettaConfig, type LettaLimits, PAGE_SIZE, PAGES_MAX } from "./config";
import { LettaError, toLettaError } from "./errors";
import type { LettaOrg, LettaTenant } from "./org";
import { createOrg } from "./org-calls";
import { list, object } from "./resources";
import {
  createServer,
  type Server,
  type ServerFigures,
  type ServerHealth,
  serverFigures,
  serverHealth,
} from "./server";

export interface Letta {
  /** Letta as one organization sees it. Every call goes out under its Letta user, which Letta itself holds to its own organization. */
  as(tenant: LettaTenant): LettaOrg;
  /** Letta's organizations and users: only for provisioning. */
  readonly admin: LettaAdmin;
  health(): Promise<LettaHealth>;
  /** How much there is to do now, without asking any server. */
  figures(): LettaFigures;
  /** Ends probes and connections. Waits for stops that are under way. */
  close(): Promise<void>;
}

export interface LettaHealth {
  /** `ok`: at least one server answers and its breaker is not open. */
  status: "ok" | "unavailable";
  servers: ServerHealth[];
  pool: PoolFigures;
}

/** Requests under way and waiting, of all organizations together, and how many there may be. */
export interface PoolFigures {
  streams: number;
  streams_max: number;
  calls: number;
  calls_max: number;
  waiting: number;
  waiting_max: number;
}

export interface LettaFigures {
  servers: ServerFigures[];
  queues: Record<"stream" | "call" | "conversation", { active: number; places: number; waiting: number }>;
}

/** What the parts of this folder share. */
export interface Context {
  readonly servers: Server[];
  readonly limits: LettaLimits;
  readonly streams: FairQueue;
  /** Before the calls that make conversations. */
  readonly creates: FairQueue;
  readonly apiKey: string;
  /** Messages sent whose run is not known yet, by conversation. */
  readonly opening: Map<string, Promise<void>>;
  /** Stops under way, by conversation: the next message of a conversation waits for them. */
  readonly stopping: Map<string, Promise<void>>;
  /** One short call: waits for its place, goes to the best server, and fails only with a LettaError. */
  call<T>(
    lane: string,
    signal: AbortSignal | undefined,
    work: (client: OfficialClient, signal: AbortSignal) => PromiseLike<T>,
  ): Promise<T>;
  /** All pages of a list, up to a bound. */
  pages(
    lane: string,
    page: (client: OfficialClient, after: string | undefined, signal: AbortSignal) => PromiseLike<unknown>,
  ): AsyncGenerator<unknown>;
}

export function createLetta(config: LettaConfig): Letta {
  const limits = { ...DEFAULT_LIMITS, ...config.limits };
  const servers = config.urls.map((url) => createServer(url, config.apiKey, limits));
  // A server that is out takes its places with it: the others have connections for their own only.
  const able = () => Math.max(1, servers.filter(({ breaker }) => breaker.state === "closed").length);
  const streams = new FairQueue(() => limits.streamsMax * able(), limits, refusal);
  const creates = new FairQueue(() => limits.createsMax * able(), limits, refusal);
  const callsWaiting = {
    waitingMax: limits.callsWaitingMax,
    waitingOfOneMax: limits.callsWaitingOfOneMax,
    waitMsMax: limits.callWaitMsMax,
  };
  const calls = new FairQueue(() => limits.callsMax * able(), callsWaiting, refusal);

  const context: Context = {
    servers,
    limits,
    streams,
    creates,
    apiKey: config.apiKey,
    opening: new Map(),
    stopping: new Map(),

    async call(lane, signal, work) {
      const leave = await calls.enter(lane, signal);
      try {
        return await onBestServer(servers, signal, async (server) => {
          const late = AbortSignal.timeout(limits.callMsMax);
          const either = signal === undefined ? late : AbortSignal.any([signal, late]);
          try {
            return await work(server.client, either);
          } catch (error) {
            if (late.aborted && !signal?.aborted) throw new LettaError("timeout", { cause: error });
            throw toLettaError(error, signal);
          }
        });
      } finally {
        leave();
      }
    },

    async *pages(lane, page) {
      let after: string | undefined;
      for (let n = 0; n < PAGES_MAX; n++) {
        const items = list(await context.call(lane, undefined, (client, signal) => page(client, after, signal)));
        yield* items;
        const last = items.at(-1);
        if (items.length < PAGE_SIZE || last === undefined) return;
        after = String(object(last).id);
      }
      throw new LettaError("bad_response", { code: "list_too_long" });
    },
  };

  return {
    as: (tenant) => createOrg(context, tenant),
    admin: createAdmin(context),

    async health() {
      // Past the breakers: they are reported here, and a liveness answer must not close one.
      const reports = await Promise.all(servers.map(serverHealth));
      const answering = reports.filter(
        (report, n) => report.latency_ms !== null && servers[n]?.breaker.state !== "open",
      );
      return {
        status: answering.length > 0 ? "ok" : "unavailable",
        servers: reports,
        pool: {
          streams: streams.active,
          streams_max: streams.places,
          calls: calls.active,
          calls_max: calls.places,
          waiting: streams.waiting + creates.waiting + calls.waiting,
          waiting_max: 2 * limits.waitingMax + limits.callsWaitingMax,
        },
      };
    },

    figures: () => ({
      servers: servers.map(serverFigures),
      queues: { stream: queueFigures(streams), call: queueFigures(calls), conversation: queueFigures(creates) },
    }),

    async close() {
      for (const { breaker } of servers) breaker.stop();
      await Promise.allSettled(context.stopping.values());
      await Promise.all(servers.map(({ pool }) => pool.destroy()));
    },
  };
}

function queueFigures({ active, places, waiting }: FairQueue) {
  return { active, places, waiting };
}

function refusal(why: QueueRefusal): LettaError {
  return why === "cancelled" ? new LettaError("cancelled") : new LettaError("overloaded", { code: why });
}
