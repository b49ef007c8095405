/** The same events at the same pace through Graphyn and through a rival, with the same readers. */
import { setTimeout as sleep } from "node:timers/promises";
import { treeCpuSeconds } from "../lib/cpu";
import { createThread, type Organization, postMessage } from "../lib/graphyn";
import { call, connect } from "../lib/http";
import { summarize } from "../lib/stats";
import { tokenEnds } from "../lib/tokens";
import type { Checked, Collected, Heard } from "./messages";
import type { Delivered } from "./report";
import type { Child, Rival } from "./servers";

/** 20 000 events a second: one answer at 20 a second to 1000 readers, or 16 answers at 125 to 10 readers each. */
export const SCENARIOS = [
  {
    name: "one thread",
    threads: 1,
    each: 1000,
    attentive: 10,
    atOnce: 1,
    tokens: 100,
    perSecond: 20,
    model: "dev-n100-r20",
  },
  {
    name: "100 threads",
    threads: 100,
    each: 10,
    attentive: 1,
    atOnce: 16,
    tokens: 300,
    perSecond: 125,
    model: "dev-n300-r125",
  },
] as const;
type Scenario = (typeof SCENARIOS)[number];
const SPOKEN_MS_MAX = 120_000;
const LOOK_MS = 200;
/** For what is on its way when the last answer has ended. */
const REST_MS = 300;

export interface Through {
  readers: Child;
  organization: Organization;
  agent: string;
  graphyn: { url: string; pid: number };
  modelUrl: string;
}

type Measured = Omit<Delivered, "arm" | "round" | "scenario">;

/**
 * New threads with an agent each; everybody reads, then each agent answers one message, as many at a time as Letta's places allow. With
 * `each: 1` it is the turns themselves that are measured, with hardly anybody to read them.
 */
export async function throughGraphyn(
  scenario: Scenario,
  through: Through,
  each: number = scenario.each,
): Promise<Measured> {
  const { readers, organization, agent, graphyn } = through;
  const model = connect(through.modelUrl);
  await call(model, "DELETE", "/debug/requests");
  const threads: string[] = [];
  for (let i = 0; i < scenario.threads; i++) threads.push(await createThread(organization.api, [agent]));
  const urls = threads.map((id) => `${graphyn.url}/threads/${id}/stream`);
  const { measured, heard } = await measure(
    readers,
    graphyn.pid,
    { ...scenario, each, attentive: Math.min(each, scenario.attentive), urls, headers: organization.api.headers },
    async (look) => {
      await Promise.all(threads.map((id, i) => postMessage(organization.api, id, sayingOf(i))));
      const until = performance.now() + SPOKEN_MS_MAX;
      while ((await look()) < scenario.threads) {
        if (performance.now() > until) throw new Error("the answers did not end in time");
        await sleep(LOOK_MS);
      }
    },
  );
  const { wrong } = await readers.ask<Checked>({ do: "check" });
  if (wrong.length > 0) throw new Error(`readers were given wrong events: ${wrong.join("; ")}`);
  await readers.ask({ do: "close" });
  const sent = await tokensSent(model, scenario);
  await model.pool.destroy();
  return { ...measured, delay: summarize(delays(heard, sent, scenario.tokens)) };
}

/** What is said in the thread of that number: by it the model's record tells which answer is whose. */
function sayingOf(thread: number): string {
  return `fan out, thread number ${thread}.`;
}

interface Recorded {
  requests: { body: unknown; tokens_sent: number; token_sent_monotonic_ms: number[] }[];
}

/** When the model sent each token, by thread. */
async function tokensSent(model: ReturnType<typeof connect>, { threads, tokens }: Scenario): Promise<number[][]> {
  const { requests } = await call<Recorded>(model, "GET", `/debug/requests?limit=${threads * 3}`);
  return Array.from({ length: threads }, (_, thread) => {
    const found = requests.find(
      ({ body, tokens_sent }) => tokens_sent >= tokens && JSON.stringify(body).includes(sayingOf(thread)),
    );
    if (!found) throw new Error(`the model has no record of the answer in thread ${thread}`);
    return found.token_sent_monotonic_ms;
  });
}

/** From when the model sent a token to when a reader had its last character. */
export function delays(heard: readonly Heard[], sent: readonly (readonly number[])[], tokens: number): number[] {
  const ends = tokenEnds(tokens);
  return heard.flatMap(({ url, end, at }) => {
    const token = ends.findLastIndex((tokenEnd) => tokenEnd <= end);
    const sentAt = sent[url]?.[token];
    return sentAt === undefined ? [] : [at - sentAt];
  });
}

export async function throughRival(
  scenario: Scenario,
  { readers, rival, chars }: { readers: Child; rival: Rival; chars: number },
): Promise<Measured> {
  const { threads: groups, atOnce, tokens, perSecond } = scenario;
  const urls = await rival.urls(groups);
  const { measured, heard } = await measure(readers, rival.pid, { ...scenario, urls, headers: {} }, () =>
    rival.speak({ groups, atOnce, events: tokens, perSecond, chars }),
  );
  await readers.ask({ do: "close" });
  return { ...measured, delay: summarize(heard.map(({ end, at }) => at - end)) };
}

interface Readers {
  urls: string[];
  each: number;
  attentive: number;
  tokens: number;
  headers: Record<string, string>;
}

/** Opens the readers, lets `act` happen, and counts. `look` tells how many answers have ended so far. */
async function measure(
  readers: Child,
  pid: number,
  { urls, each, attentive, tokens, headers }: Readers,
  act: (look: () => Promise<number>) => Promise<void>,
): Promise<{ measured: Omit<Measured, "delay">; heard: Heard[] }> {
  await readers.ask({ do: "open", urls, each, attentive, headers });
  await sleep(REST_MS);
  await readers.ask<Collected>({ do: "collect" });
  const cpuBefore = treeCpuSeconds(pid);
  const begun = performance.now();
  const all: Collected[] = [];
  const collect = async () => void all.push(await readers.ask<Collected>({ do: "collect" }));
  await act(async () => {
    await collect();
    return all.reduce((sum, { ended }) => sum + ended, 0);
  });
  const seconds = (performance.now() - begun) / 1000;
  await sleep(REST_MS);
  await collect();
  const sum = (value: (one: Collected) => number) => all.reduce((total, one) => total + value(one), 0);
  return {
    measured: {
      // Each reader of the group has each event; what else came along (ends of turns, control events) is not counted.
      deliveries: urls.length * each * tokens,
      events: sum(({ events }) => events),
      bytes: sum(({ bytes }) => bytes),
      lost: sum(({ lost }) => lost),
      seconds,
      cpu_seconds: treeCpuSeconds(pid) - cpuBefore,
    },
    heard: all.flatMap(({ heard }) => heard),
  };
}
