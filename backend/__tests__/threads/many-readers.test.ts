import { type ClientRequest, get } from "node:http";
import { createParser } from "eventsource-parser";
import { describe, expect, it } from "vitest";
import type { ThreadEvent } from "../../lib/events";
import { compared, disconnected, type Journal, newJournal, write } from "../harness/journal";
import { newAgent, newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";

const READERS = 1_000;
/** Connections that are opened at a time, so that no backlog refuses one. */
const OPENING_MAX = 50;
/** Speaks for two seconds. */
const MODEL = "openai-proxy/dev-n40-r20";
const WAIT_MS = 60_000;

interface Client {
  journal: Journal;
  request: ClientRequest | null;
  caughtUp: boolean;
  failure: string | null;
}

/** Opens a stream where the client stands; what it is given is kept as docs/api.md tells clients to. */
function open(client: Client, org: TestOrganization, threadId: string): void {
  const { journal } = client;
  const resume = journal.lastId === null ? {} : { "last-event-id": journal.lastId };
  const request = get(`${org.url}/threads/${threadId}/stream`, {
    headers: { authorization: `Bearer ${org.apiKey}`, ...resume },
    agent: false,
  });
  client.request = request;
  client.caughtUp = false;
  const isCurrent = () => client.request === request;
  const fail = (failure: unknown) => {
    if (isCurrent()) client.failure ??= String(failure);
  };
  request.on("error", fail);
  request.on("response", (response) => {
    if (response.statusCode !== 200) fail(`answered ${response.statusCode}`);
    const parser = createParser({
      onEvent: ({ id, data }) => {
        const event = JSON.parse(data) as ThreadEvent;
        write(journal, id, event);
        if (event.type === "caught_up") client.caughtUp = true;
      },
    });
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      try {
        if (isCurrent()) parser.feed(text);
      } catch (error) {
        fail(error);
      }
    });
    response.on("error", fail);
    response.on("end", () => fail("the stream ended"));
  });
}

function cut(client: Client): void {
  const { request } = client;
  client.request = null;
  request?.destroy();
  disconnected(client.journal);
}

async function until(clients: readonly Client[], done: (client: Client) => boolean): Promise<void> {
  const late = performance.now() + WAIT_MS;
  while (!clients.every(done)) {
    const failures = clients.flatMap(({ failure }) => failure ?? []);
    if (failures.length > 0) throw new Error(`${failures.length} readers failed, the first with: ${failures[0]}`);
    if (performance.now() > late) throw new Error(`${clients.filter(done).length} of ${clients.length} in time`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function openAll(clients: readonly Client[], org: TestOrganization, threadId: string): Promise<void> {
  for (let at = 0; at < clients.length; at += OPENING_MAX) {
    const some = clients.slice(at, at + OPENING_MAX);
    for (const client of some) open(client, org, threadId);
    await until(some, ({ caughtUp }) => caughtUp);
  }
}

describe("a thousand readers of one thread", () => {
  it("are all given every entry and every word exactly once, also those cut off together in mid-answer (SSE-3, SSE-4, SSE-5)", async () => {
    const org = await newOrganization();
    const threadId = await newThread(org, [await newAgent(org, "Ada", MODEL)]);
    const post = (content: string) => ok(org.call("POST", `/threads/${threadId}/messages`, { content }));
    const clients = Array.from(
      { length: READERS },
      (): Client => ({ journal: newJournal(), request: null, caughtUp: false, failure: null }),
    );
    const [first] = clients as [Client];
    try {
      await openAll(clients, org, threadId);
      await post("hello");
      const spoken = ({ journal }: Client) => [...journal.texts.values()].join("").length;
      await until([first], (client) => spoken(client) > 20);
      const half = clients.filter((_, i) => i % 2 === 1);
      for (const client of half) cut(client);
      await openAll(half, org, threadId);
      const ends = ({ journal }: Client) => journal.entries.filter(({ event }) => event.type === "turn_completed");
      await until(clients, (client) => ends(client).length === 1);
      await post("and hello again");

      await until(clients, (client) => ends(client).length === 2);
      const whole: Client = { ...first, journal: newJournal(), request: null };
      const log = first.journal.entries;
      const said = log.flatMap(({ event }) => (event.type === "message" ? [event.message] : []));
      expect(said.map(({ sender_type }) => sender_type)).toEqual([
        "system",
        "system",
        "user",
        "agent",
        "user",
        "agent",
      ]);
      for (const { journal } of clients) {
        const { has, should } = compared(journal, log);
        expect(has).toEqual(should);
        expect(journal.takenBack.size).toBe(0);
        expect(journal.texts).toEqual(first.journal.texts);
      }
      // And what they have is the log: a reader who comes later is shown the same messages.
      clients.push(whole);
      open(whole, org, threadId);
      await until([whole], ({ caughtUp }) => caughtUp);
      const messages = ({ journal }: Client) => journal.entries.filter(({ event }) => event.type === "message");
      expect(messages(whole)).toEqual(messages(first));
    } finally {
      for (const client of clients) cut(client);
    }
  }, 180_000);
});
