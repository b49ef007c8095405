/** One phase of the bench: many organizations post at once, until no turn is left. */
import { setTimeout as sleep } from "node:timers/promises";
import { cpuDifference, cpuSecondsByRole } from "../lib/cpu";
import { postMessage } from "../lib/graphyn";
import type { Api } from "../lib/http";
import { readCpuTicks } from "../lib/machine";
import { canariesIn, crossings } from "./crossing";
import type { Phase } from "./report";
import type { Tenant } from "./tenants";
import { forgetRecord, recorded, type World } from "./world";

const PHASE_MS_MAX = 150_000;
const LOOK_MS = 250;

export interface Saying {
  tenant: Tenant;
  threadId: string;
}

export interface Plan {
  name: Phase["name"];
  lettas: number;
  round: number;
  /** In this order. */
  sayings: Saying[];
  /** Whose waiting is not counted. */
  noisy: Tenant | null;
  /** Lines for the model that are said with each. */
  orders?: string;
  graphyn: Api;
  pids: Record<string, number>;
  /** At each look whether turns have ended. */
  look?: () => Promise<void>;
}

interface Ended {
  org_id: string;
  state: string;
  /** From the message to the turn's end, by the database's clock, ms. */
  ms: number;
  content: string;
}

export async function runPhase(world: World, plan: Plan): Promise<Phase> {
  const { db, tenants, orgOfLettaUser } = world;
  const { sayings, noisy, graphyn, pids } = plan;
  await forgetRecord(world);
  const [{ now } = { now: new Date() }] = (await db.query<{ now: Date }>("select clock_timestamp() as now")).rows;
  const cpuBefore = cpuSecondsByRole(pids);
  const ticksBefore = readCpuTicks();
  const begun = performance.now();
  const posted = Promise.all(
    sayings.map(({ tenant, threadId }) => {
      const text = `${tenant.canary} says ${threadId}, ${plan.name}, round ${plan.round}`;
      const content = plan.orders === undefined ? text : `${text}\n${plan.orders}`;
      return postMessage({ ...graphyn, headers: tenant.headers }, threadId, content);
    }),
  );
  posted.catch(() => undefined); // told below
  for (let ended = 0; ended < sayings.length && performance.now() - begun < PHASE_MS_MAX; ) {
    await sleep(LOOK_MS);
    const { rows } = await db.query<{ ended: number }>(
      "select count(*)::int as ended from turns where queued_at >= $1 and ended_at is not null",
      [now],
    );
    ended = rows[0]?.ended ?? 0;
    await plan.look?.();
  }
  const seconds = (performance.now() - begun) / 1000;
  const ticks = readCpuTicks();
  const cpu_seconds = cpuDifference(cpuSecondsByRole(pids), cpuBefore);
  await posted;
  const { rows: ended } = await db.query<Ended>(
    `select t.org_id, t.state, extract(epoch from t.ended_at - t.queued_at)::float8 * 1000 as ms, coalesce(m.content, '') as content
      from turns t left join messages m on (m.org_id, m.thread_id, m.turn_id) = (t.org_id, t.thread_id, t.id)
      where t.queued_at >= $1 and t.ended_at is not null`,
    [now],
  );
  const canaryOf = new Map(tenants.map(({ id, canary }) => [id, canary]));
  const canaryIn = (orgId: string | undefined): string => canaryOf.get(orgId ?? "") ?? "";
  // A request for words names its tenant in Letta; one for an embedding has one message in it, whose first canary is taken for its own.
  const prompts = (await recorded(world)).map(({ path, user, body }) => {
    const text = JSON.stringify(body);
    const own = path.endsWith("/embeddings") ? [...canariesIn(text)][0] : canaryIn(orgOfLettaUser.get(user ?? ""));
    return { canary: own ?? "", text };
  });
  const answers = ended.map(({ org_id, content }) => ({ canary: canaryIn(org_id), text: content }));
  const waits = new Map<string, number[]>();
  for (const { org_id, ms } of ended) if (org_id !== noisy?.id) waits.set(org_id, [...(waits.get(org_id) ?? []), ms]);
  return {
    name: plan.name,
    lettas: plan.lettas,
    round: plan.round,
    organizations: new Set(sayings.map(({ tenant }) => tenant.id)).size,
    messages: sayings.length,
    noisy_messages: sayings.filter(({ tenant }) => tenant === noisy).length,
    answered: ended.filter(({ org_id, state, content }) => state === "completed" && content.includes(canaryIn(org_id)))
      .length,
    failed: ended.filter(({ state }) => state === "failed").length,
    prompts: prompts.filter(({ text }) => canariesIn(text).size > 0).length,
    crossed: crossings(answers) + crossings(prompts),
    seconds,
    busy: (ticks.busy - ticksBefore.busy) / (ticks.total - ticksBefore.total),
    cpu_seconds,
    waiting_ms: [...waits.values()].map((list) => list.reduce((sum, ms) => sum + ms, 0) / list.length),
  };
}
