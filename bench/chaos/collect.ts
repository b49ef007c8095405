/** Everything that a round has left, for the oracle. */
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { createParser } from "eventsource-parser";
import { adminQuery } from "../../backend/__tests__/harness/database";
import { newJournal, write } from "../../backend/__tests__/harness/journal";
import type { History, Measured, Probe, Shown } from "../../backend/__tests__/harness/oracle/history";
import { readDatabase } from "../../backend/__tests__/harness/oracle/read-database";
import { entryCursor } from "../../backend/lib/cursor";
import type { ThreadEvent } from "../../backend/lib/events";
import { ask } from "./party";
import { openFiles, residentMiB } from "./processes";
import type { Room, World } from "./world";

const SHOW_MS_MAX = 20_000;
/** A turn's deadline, and what it may take until another process has ended the turn of a dead one, on a machine that is busy. */
const TURN_ENDED_MS_MAX = 60_000;
/** What a process may hold after a round, when nobody is connected any more. */
const RESIDENT_MIB_MAX = 512;
const OPEN_FILES_MAX = 300;
/** Of both processes: their pools, hints, jobs. */
const DATABASE_CONNECTIONS_MAX = 40;
const AT_REST_MS_MAX = 30_000;
/** A thread that nobody has. */
const NOBODYS = "thread_00000000000000000000000000";

export async function collect(world: World): Promise<History> {
  const { chaos, parties, rooms } = world;
  const database = await readDatabase(
    chaos.adminUrl,
    rooms.map(({ threadId }) => threadId),
  );
  const shown: Shown[] = [];
  for (const room of rooms)
    shown.push(await show(world, room, database.threads.find(({ id }) => id === room.threadId)?.last_seq ?? 0));
  const readings = rooms.flatMap(({ readers, members }) => [...readers, ...members].map(({ reading }) => reading));
  const probes = await probe(world);
  await Promise.all(rooms.flatMap(({ readers, members }) => [...readers, ...members].map((one) => one.close())));
  const measured = await measure(world);
  return {
    ...database,
    posted: parties.flatMap(({ posted }) => posted),
    answers: parties.flatMap(({ answers }) => answers),
    readings,
    shown,
    probes,
    measured,
    canaries: parties.map(({ orgId, canary }) => ({ orgId, word: canary })),
    secrets: [
      ...Object.entries(chaos.secrets).map(([name, value]) => ({ name, value })),
      ...parties.map(({ orgId, apiKey }) => ({ name: `the key of ${orgId}`, value: apiKey })),
    ],
    printed: chaos.nodes.map((node) => ({ where: `the log of ${node.url}`, text: node.printed() })),
    asked: await askedModels(world),
    mayTakeBack: world.wasKilled,
    turnMsMax: TURN_ENDED_MS_MAX,
  };
}

/** A thread as the API shows it from its beginning, by either process. */
async function show({ urls }: World, { party, threadId }: Room, lastSeq: number): Promise<Shown> {
  const journal = newJournal({ cursor: entryCursor(threadId, 0), seq: 0 });
  const url = urls(0);
  await new Promise<void>((resolve, reject) => {
    const parser = createParser({ onEvent: ({ id, data }) => write(journal, id, JSON.parse(data) as ThreadEvent) });
    const headers = { authorization: `Bearer ${party.apiKey}`, "last-event-id": journal.lastId ?? "" };
    const asked = request(`${url}/threads/${threadId}/stream`, { headers, timeout: SHOW_MS_MAX }, (answer) => {
      answer.setEncoding("utf8").on("data", (text: string) => {
        try {
          parser.feed(text);
        } catch (error) {
          reject(error);
        }
        if ((journal.entries.at(-1)?.seq ?? 0) >= lastSeq) asked.destroy();
      });
    });
    asked
      .on("timeout", () => asked.destroy())
      .on("error", () => resolve())
      .on("close", resolve)
      .end();
  });
  const listed: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query: string = `limit=500&include=rewound${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const page = await ask<{ messages: { id: string }[]; next_cursor: string | null }>(
      party,
      url,
      "GET",
      `/threads/${threadId}/messages?${query}`,
    );
    listed.push(...(page?.body.messages.map(({ id }) => id) ?? []));
    cursor = page?.body.next_cursor ?? null;
  }
  const thread = await ask<{ context: { last_seq: number; usage: Shown["usage"] } }>(
    party,
    url,
    "GET",
    `/threads/${threadId}`,
  );
  const context = thread?.body.context;
  return {
    orgId: party.orgId,
    threadId,
    log: journal.entries,
    listed,
    lastSeq: context?.last_seq ?? -1,
    usage: context?.usage ?? { prompt_tokens: -1, completion_tokens: -1 },
  };
}

/** What an organization is answered that asks for another's thread, and for none. */
async function probe({ parties, rooms, urls }: World): Promise<Probe[]> {
  const probes: Probe[] = [];
  for (const party of parties) {
    const foreign = rooms.find((room) => room.party !== party)?.threadId ?? "";
    for (const [method, path, body] of [
      ["GET", ""],
      ["GET", "/messages"],
      ["GET", "/stream"],
      ["POST", "/messages", { content: "hello" }],
      ["POST", "/cancel", {}],
    ] as const) {
      const [theirs, none] = await Promise.all(
        [foreign, NOBODYS].map((id) => ask(party, urls(0), method, `/threads/${id}${path}`, body ? { body } : {})),
      );
      probes.push({
        what: `${method} /threads/:id${path}`,
        foreign: JSON.stringify(theirs),
        missing: JSON.stringify(none),
      });
    }
  }
  return probes;
}

/** What the processes hold when nobody asks anything of them; a moment is allowed for what is just being put away. */
async function measure({ chaos }: World): Promise<Measured[]> {
  const deadline = performance.now() + AT_REST_MS_MAX;
  for (;;) {
    const measured: Measured[] = [];
    for (const { url, pid } of chaos.nodes) {
      const id = pid() ?? 0;
      measured.push({ what: `resident MiB of ${url}`, value: residentMiB(id), max: RESIDENT_MIB_MAX });
      measured.push({ what: `open files of ${url}`, value: openFiles(id), max: OPEN_FILES_MAX });
      measured.push(...(await gauges(url, chaos.secrets.metricsKey)));
    }
    const [held] = await adminQuery<{ count: number }>(
      chaos.adminUrl,
      "select count(*)::int as count from pg_stat_activity where usename = 'graphyn'",
    );
    measured.push({ what: "connections to PostgreSQL", value: held?.count ?? 0, max: DATABASE_CONNECTIONS_MAX });
    if (measured.every(({ value, max }) => value <= max) || performance.now() > deadline) return measured;
    await sleep(500);
  }
}

/** What must be nothing at rest, as a process itself counts it. */
const EMPTY_AT_REST =
  /^graphyn_(?:connections|turns|letta_waiting|letta_active|letta_in_flight|upstream_in_flight)(?:\{.*\})? /;

async function gauges(url: string, key: string): Promise<Measured[]> {
  const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${key}` } });
  if (!response.ok) return [{ what: `GET /metrics of ${url}`, value: response.status, max: 200 }];
  return (await response.text())
    .split("\n")
    .filter((line) => EMPTY_AT_REST.test(line))
    .map((line) => ({
      what: `${line.slice(0, line.lastIndexOf(" "))} of ${url}`,
      value: Number(line.split(" ").at(-1)),
      max: 0,
    }));
}

/** What the models were asked, by the organization in whose name; the recorder is emptied for the next round. */
async function askedModels({ chaos, parties }: World): Promise<History["asked"]> {
  const tenants = await adminQuery<{ org_id: string; letta_user_id: string }>(
    chaos.adminUrl,
    "select org_id, letta_user_id from letta_tenants",
  );
  const asked: History["asked"] = [];
  for (const { orgId } of parties) {
    const user = tenants.find(({ org_id }) => org_id === orgId)?.letta_user_id ?? "";
    const response = await fetch(`${chaos.modelUrl}/debug/requests?user=${user}&limit=1000`);
    asked.push({ orgId, text: await response.text() });
  }
  await fetch(`${chaos.modelUrl}/debug/requests`, { method: "DELETE" });
  return asked;
}
