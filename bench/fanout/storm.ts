/** 1000 readers cut off at once, in the middle of answers, some times, come back with their cursors: are they exact, how soon, and who notices? */
import { setTimeout as sleep } from "node:timers/promises";
import { createThread, type Organization, openStream, postAndFollow, postMessage } from "../lib/graphyn";
import type { Checked, Collected, Stormed } from "./messages";
import type { Storm } from "./report";
import type { Child } from "./servers";

/** Speaks for 30 s: all storms are in mid-answer. */
export const STORM_MODEL = "dev-n600-r20";
/** Of an agent that is asked by others meanwhile. */
export const OTHERS_MODEL = "dev-n20";
const THREADS = 100;
const READERS_EACH = 10;
/** As many agents speak as Letta has places for, less those of the others. */
const SPEAKING = 12;
const SPEAKING_BEFORE_MS = 2_000;
const STORMS = 3;
/** First texts of others before each storm. */
const CALM_SAMPLES = 8;
const SPOKEN_MS_MAX = 60_000;

interface StormOf {
  readers: Child;
  organization: Organization;
  graphyn: { url: string };
  agents: ReadonlyMap<string, string>;
}

export async function reconnectStorm({ readers, organization, graphyn, agents }: StormOf): Promise<Storm> {
  const { api } = organization;
  const threads: string[] = [];
  for (let i = 0; i < THREADS; i++) threads.push(await createThread(api, [agents.get(STORM_MODEL) ?? ""]));
  const urls = threads.map((id) => `${graphyn.url}/threads/${id}/stream`);
  await readers.ask({ do: "open", urls, each: READERS_EACH, attentive: READERS_EACH, headers: api.headers });
  await readers.ask<Collected>({ do: "collect" });

  const elsewhere = await createThread(api, [agents.get(OTHERS_MODEL) ?? ""]);
  const stream = await openStream(api, elsewhere);
  const firstText = async () => (await postAndFollow(api, elsewhere, stream, "hello")).first_text_ms;
  await firstText();

  await Promise.all(threads.slice(0, SPEAKING).map((id) => postMessage(api, id, "speak")));
  await sleep(SPEAKING_BEFORE_MS);
  const storms: Storm["storms"] = [];
  while (storms.length < STORMS) {
    const calm: number[] = [];
    while (calm.length < CALM_SAMPLES) calm.push(await firstText());
    let isOver = false;
    const storming = readers.ask<Stormed>({ do: "storm" }).finally(() => {
      isOver = true;
    });
    const during: number[] = [];
    while (!isOver) during.push(await firstText());
    const { ms } = await storming;
    storms.push({ ms, calm, during });
  }

  const until = performance.now() + SPOKEN_MS_MAX;
  for (let ended = 0; ended < SPEAKING; await sleep(200)) {
    ended += (await readers.ask<Collected>({ do: "collect" })).ended;
    if (performance.now() > until) throw new Error("the answers did not end in time");
  }
  await sleep(500);
  const checked = await readers.ask<Checked>({ do: "check" });
  await readers.ask({ do: "close" });
  stream.close();
  return { readers: THREADS * READERS_EACH, storms, wrong: checked.wrong };
}
