/**
 * One organization has a thousand turns waiting, and others say a single message each. With one place at Letta its turns have it one after
 * the other, so the order in which the model is asked is the order in which places were given.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { postMessage } from "../lib/graphyn";
import type { Api } from "../lib/http";
import type { Flood } from "./report";
import type { Tenant } from "./tenants";
import { forgetRecord, type Recorded, recorded, type World } from "./world";

/** Answers that Letta is asked for at once meanwhile. */
export const PLACES = 1;
/** Of each waiting turn, so that a single message stands in the queue before the turn that it comes upon has ended. */
const ORDERS = "!slow 500";
const LOOK_MS = 50;
const SINGLE_MS_MAX = 60_000;

interface FloodPlan {
  graphyn: Api;
  noisy: Tenant;
  /** Who says a single message, one after the other. */
  others: Tenant[];
}

export async function flood(world: World, { graphyn, noisy, others }: FloodPlan): Promise<Flood> {
  await Promise.all(
    noisy.threads.map((id) =>
      postMessage({ ...graphyn, headers: noisy.headers }, id, `${noisy.canary} floods ${id}\n${ORDERS}`),
    ),
  );
  const waiting = (await live(world, noisy)) - PLACES;
  const singles: Flood["singles"] = [];
  for (const tenant of others) {
    await forgetRecord(world);
    await until(async () => (await chatsOf(world)).length > 0); // somebody has just been given the place
    const words = `${tenant.canary} says a single thing`;
    const posted = Number(process.hrtime.bigint()) / 1e6;
    await postMessage({ ...graphyn, headers: tenant.headers }, tenant.threads[0] ?? "", words);
    await until(async () => (await live(world, tenant)) === 0);
    const ms = Number(process.hrtime.bigint()) / 1e6 - posted;
    const chats = await chatsOf(world);
    const own = chats.find(({ body }) => JSON.stringify(body).includes(words));
    if (own === undefined) throw new Error("the model was not asked for a single message");
    const before = chats.filter((request) => request.received_monotonic_ms < own.received_monotonic_ms);
    const passed = before.filter((request) => request.received_monotonic_ms > posted && request.user !== own.user);
    singles.push({ slots: passed.length, ms });
  }
  return { waiting, singles, still_waiting: (await live(world, noisy)) - PLACES };
}

/** Turns of an organization that have not ended. */
async function live({ db }: World, { id }: Tenant): Promise<number> {
  const counted = "select count(*)::int as n from turns where org_id = $1 and ended_at is null";
  return (await db.query<{ n: number }>(counted, [id])).rows[0]?.n ?? 0;
}

async function chatsOf(world: World): Promise<Recorded[]> {
  return (await recorded(world)).filter(({ path }) => path.endsWith("/chat/completions"));
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const late = performance.now() + SINGLE_MS_MAX;
  while (!(await holds())) {
    if (performance.now() > late) throw new Error(`a single message took longer than ${SINGLE_MS_MAX} ms`);
    await sleep(LOOK_MS);
  }
}
