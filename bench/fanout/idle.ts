/** What an idle reader costs Graphyn, and whether 5000 of them still hear what is said. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createOrganization, createThread, postMessage } from "../lib/graphyn";
import { connect } from "../lib/http";
import type { Collected } from "./messages";
import type { Idle } from "./report";
import type { Child } from "./servers";

/** An organization may hold 2000 streams in a process. */
const ORGANIZATIONS = 5;
const THREADS_EACH = 20;
const READERS_EACH = 50;
const SETTLE_MS = 2_000;
const HEARD_MS_MAX = 10_000;

export async function idleMemory({
  readers,
  graphyn,
}: {
  readers: Child;
  graphyn: { url: string; pid: number; adminKey: string };
}): Promise<Idle> {
  const resident: number[] = [];
  const rooms: { api: ReturnType<typeof connect>; threads: string[] }[] = [];
  for (let n = 0; n < ORGANIZATIONS; n++) {
    const { api } = await createOrganization(connect(graphyn.url), graphyn.adminKey);
    const threads: string[] = [];
    for (let i = 0; i < THREADS_EACH; i++) threads.push(await createThread(api, []));
    rooms.push({ api, threads });
    const urls = threads.map((id) => `${graphyn.url}/threads/${id}/stream`);
    await readers.ask({ do: "open", urls, each: READERS_EACH, attentive: 0, headers: api.headers });
    await sleep(SETTLE_MS);
    resident.push(residentBytes(graphyn.pid));
  }
  const connected = ORGANIZATIONS * THREADS_EACH * READERS_EACH;
  const perOrganization = connected / ORGANIZATIONS;
  await readers.ask<Collected>({ do: "collect" });
  const begun = performance.now();
  for (const { api, threads } of rooms) for (const id of threads) await postMessage(api, id, "is anybody there?");
  let heard = 0;
  while (heard < connected && performance.now() - begun < HEARD_MS_MAX) {
    await sleep(100);
    heard += (await readers.ask<Collected>({ do: "collect" })).events;
  }
  await readers.ask({ do: "close" });
  for (const { api } of rooms) await api.pool.destroy();
  const [first = 0] = resident;
  const grown = (resident.at(-1) ?? 0) - first;
  return {
    readers: connected,
    heard: Math.min(heard, connected),
    bytes_each: grown / (connected - perOrganization),
    resident,
  };
}

function residentBytes(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
  return pages * 4096;
}
