import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { EventSource } from "eventsource";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { entryCursor } from "../../lib/cursor";
import type { LogEntry, ThreadEvent } from "../../lib/events";
import { type CuttingProxy, startCuttingProxy } from "../harness/cutting-proxy";
import { compared, newJournal, write } from "../harness/journal";
import { newAgent, newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";
import { openStream, turnsEnded } from "../harness/stream";

/** What a client was given: an event's id, and its data. */
type Given = [id: string, event: ThreadEvent];

const EVENTS: ThreadEvent["type"][] = [
  "message",
  "participant",
  "turn_started",
  "ai_chunk",
  "turn_completed",
  "turn_cancelled",
  "agent_error",
  "caught_up",
  "error",
];
const TURNS = 2;
/** Enough to cut answers of two agents several times, at bytes that nobody chose. */
const CUTS = 4;
const CUT_BYTES = { min: 150, max: 2_200 };
/** Characters of one to four bytes, so that a cut can fall into the middle of one; said back by an agent, seconds long. */
const WORDS = "Sagt, was ihr über 茶 wißt 🍵! ".repeat(10);
const CLIENT_MS_MAX = 40_000;

const isEnd = ([, { type }]: Given) => ["turn_completed", "turn_cancelled", "agent_error"].includes(type);

describe("a client that people have, cut off in the middle of two answers", () => {
  let org: TestOrganization;
  let agents: string[];
  beforeAll(async () => {
    org = await newOrganization();
    agents = await Promise.all(
      ["Ada", "Béla"].map((name, index) =>
        newAgent(org, name, index === 0 ? "openai-proxy/dev-n40-r20" : "openai-proxy/dev-echo-r20"),
      ),
    );
  });

  /** Has the agents speak while `client` reads through a proxy that cuts it off, and compares what it has with the log. */
  async function converse(
    client: (proxy: CuttingProxy, path: string) => Promise<Given[]>,
    page?: (path: string) => string,
  ) {
    const id = await newThread(org, agents);
    const start = entryCursor(id, 0);
    const path = `/threads/${id}/stream?cursor=${start}`;
    const [cutting] = fc.sample(fc.array(fc.integer(CUT_BYTES), { minLength: CUTS, maxLength: CUTS }), 1);
    const proxy = await startCuttingProxy({
      org,
      page: page?.(path) ?? "",
      cutAfter: (stream) => cutting?.[stream] ?? null,
    });
    try {
      const reading = client(proxy, path);
      await ok(org.call("POST", `/threads/${id}/messages`, { content: WORDS }));
      const given = await reading;
      const story = `cuts after ${cutting} bytes`;
      expect(proxy.cuts, story).toBe(CUTS);

      const journal = newJournal({ cursor: start, seq: 0 });
      for (const [eventId, event] of given) write(journal, eventId, event);
      const { has, should } = compared(journal, await logOf(id, start));
      expect(has, story).toEqual(should);
      expect(journal.takenBack.size, story).toBe(0);
      expect(journal.texts.size).toBe(TURNS);
      // Each time it came back with an id that it had been given, or, before it had one, with the cursor of its URL.
      const ids = new Set<string | undefined>([undefined, ...given.map(([eventId]) => eventId)]);
      for (const asked of proxy.asked) expect(ids).toContain(asked);
    } finally {
      await proxy.close();
    }
  }

  async function logOf(id: string, start: string): Promise<LogEntry[]> {
    const whole = await openStream(org, id, start);
    const journal = newJournal({ cursor: start, seq: 0 });
    for (const { id: at, event } of await whole.until(turnsEnded(TURNS))) write(journal, at, event);
    await whole.close();
    return journal.entries;
  }

  it("a browser's EventSource resumes exactly (SSE-4)", async () => {
    const binary = process.env.CHROMIUM;
    if (!binary) throw new Error("CHROMIUM is not set: run the tests with ./graphyn test, or name a Chromium");
    await converse(
      async (proxy) => {
        const browser = await openBrowser(binary, proxy.url);
        try {
          return JSON.parse(await inTime(proxy.result)) as Given[];
        } finally {
          await browser.close();
        }
      },
      (path) => `<!doctype html><script>
        const given = [];
        let ended = 0;
        const source = new EventSource(${JSON.stringify(path)});
        for (const type of ${JSON.stringify(EVENTS)}) source.addEventListener(type, (event) => {
          if (!(event instanceof MessageEvent)) return; // the connection's own "error"
          given.push([event.lastEventId, JSON.parse(event.data)]);
          if (["turn_completed", "turn_cancelled", "agent_error"].includes(type)) ended++;
          if (ended < ${TURNS}) return;
          source.close();
          fetch("/result", { method: "POST", body: JSON.stringify(given) });
        });
      </script>`,
    );
  });

  it("the npm package eventsource resumes exactly (SSE-4)", () =>
    converse(async (proxy, path) => {
      const given: Given[] = [];
      const source = new EventSource(proxy.url + path);
      const done = new Promise<void>((resolve) => {
        for (const type of EVENTS) {
          source.addEventListener(type, (event) => {
            if (typeof event.data !== "string") return;
            given.push([event.lastEventId, JSON.parse(event.data) as ThreadEvent]);
            if (given.filter(isEnd).length >= TURNS) resolve();
          });
        }
      });
      await inTime(done).finally(() => source.close());
      return given;
    }));

  it("curl resumes exactly with the last id it saw (SSE-4)", () =>
    converse(async (proxy, path) => {
      const given: Given[] = [];
      const until = Date.now() + CLIENT_MS_MAX;
      while (given.filter(isEnd).length < TURNS) {
        if (Date.now() > until) throw new Error("curl was not given the ends of the turns in time");
        await curl(proxy.url + path, given);
      }
      return given;
    }));
});

/** One `curl -N`, until its connection ends, or it has seen the last turn's end. */
async function curl(url: string, given: Given[]): Promise<void> {
  const last = given.at(-1)?.[0];
  const resume = last === undefined ? [] : ["-H", `Last-Event-ID: ${last}`];
  const child = spawn("curl", ["-sN", "--fail", ...resume, url], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const parser = createParser({
    onEvent: ({ id, data }) => {
      given.push([id ?? "", JSON.parse(data) as ThreadEvent]);
      if (given.filter(isEnd).length >= TURNS) child.kill();
    },
  });
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) parser.feed(decoder.decode(bytes as Buffer, { stream: true }));
  const [code] = (await exited) as [number | null];
  // 18: the transfer was partial; 52, 56: the connection was cut.
  if (code !== null && ![0, 18, 52, 56].includes(code)) throw new Error(`curl ended with ${code}`);
}

async function openBrowser(binary: string, url: string): Promise<{ close(): Promise<void> }> {
  const home = await mkdtemp(join(tmpdir(), "graphyn-browser-"));
  const libraries = join(dirname(binary), "lib");
  const child = spawn(
    binary,
    [
      "--headless",
      "--no-sandbox", // as root there is none; the page is ours
      "--no-zygote",
      "--single-process",
      "--disable-gpu",
      "--disable-webgl",
      "--disable-dev-shm-usage",
      "--remote-debugging-port=0", // without something to wait for, a headless browser ends at once
      `--user-data-dir=${home}`,
      url,
    ],
    {
      env: { ...process.env, HOME: home, ...(existsSync(libraries) ? { LD_LIBRARY_PATH: libraries } : {}) },
      stdio: "ignore",
    },
  );
  const exited = once(child, "exit");
  return {
    close: async () => {
      child.kill("SIGKILL");
      await exited;
      await rm(home, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${CLIENT_MS_MAX} ms`)), CLIENT_MS_MAX);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
