/**
 * `npm run bench:growth`: what people do all day, in threads of 10, 1 000 and 100 000 messages, among 1, 100 and 10 000 threads, and among 1, 100
 * and 10 000 organizations: time over HTTP, and pages that the queries touch. Starts a stack of its own. `--rounds N`, `--seed N`,
 * `--loaded-machine-ok`, `--out FOLDER`, `--readme`.
 */
import pg from "pg";
import { openQueryTap } from "../../backend/__tests__/harness/query-tap";
import { readArguments } from "../lib/arguments";
import { watchOthers } from "../lib/cpu";
import { createOrganization } from "../lib/graphyn";
import { type Api, connect } from "../lib/http";
import { stamp, updateReadme, writeResult } from "../lib/result";
import { createDatabase, startGraphyn, startStack, withDatabase, withStops } from "../lib/stack";
import { seededRandom, shuffled } from "../lib/stats";
import {
  checkThread,
  fill,
  haveConversation,
  MESSAGES_OF_CONVERSATION,
  makeLonger,
  moreOrganizations,
  moreThreads,
  sayRare,
  untilEmbedded,
} from "./fill";
import {
  APPEND,
  FIRST_PAGE,
  LAST_PAGE,
  LIST_THREADS,
  type Operation,
  type Place,
  READ_THREAD,
  RESUME_MIDDLE,
  RESUME_NEAR,
  searches,
} from "./operations";
import { pagesAtRest, pagesOf } from "./pages";
import { chart, forReadme, type Measured, type Result, report } from "./report";

const MODEL = "dev-echo";
const MESSAGES = [10, 1_000, 100_000];
const COUNTS = [1, 100, 10_000];
/** Requests of a visit that count, after one that does not. */
const SAMPLES = 2;
/** Stop beginning rounds after this time; what was measured counts. */
const MEASURE_MS_MAX = 100_000;

const AXES = {
  messages: `One organization with threads of ${MESSAGES.join(", ")} messages of people and an agent, beside the organizations of the next table.`,
  threads: `Organizations with ${COUNTS.join(", ")} threads of ${MESSAGES_OF_CONVERSATION} messages each, in the same database.`,
  organizations: `Databases with ${COUNTS.join(", ")} organizations, each with an agent and a thread of ten messages; the first of them is asked.`,
};
const ALL = [READ_THREAD, FIRST_PAGE, LAST_PAGE, RESUME_NEAR, APPEND];
const OPERATIONS: Record<keyof typeof AXES, Operation[]> = {
  messages: [...ALL, RESUME_MIDDLE, ...searches.inThread],
  threads: [...ALL, LIST_THREADS, ...searches.everywhere, ...searches.inThread],
  organizations: [...ALL, LIST_THREADS, ...searches.everywhere],
};

interface Arm {
  axis: keyof typeof AXES;
  size: number;
  operation: Operation;
  database: Database;
  place: Place;
}

interface Database {
  url: string;
  adminUrl: string;
  api: Api;
}

const args = readArguments({ rounds: 12 });
const header = await stamp("growth", args.seed, args.loadedMachineOk);
const random = seededRandom(args.seed);
await withStops(run);

async function run(stops: (() => Promise<unknown>)[]): Promise<void> {
  const began = performance.now();
  const say = (text: string) =>
    console.log(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text}`);
  const stack = await startStack(stops);
  const lettaUrl = `http://127.0.0.1:${stack.lettaPort}`;
  const pids: number[] = Object.values(stack.pids);
  const start = async (name: string, url: string) => {
    const graphyn = await startGraphyn(stack, lettaUrl, { databaseUrl: url, name });
    pids.push(graphyn.pid);
    const database = { url, adminUrl: withDatabase(stack.adminUrl, name), api: connect(graphyn.url) };
    return { database, adminKey: graphyn.adminKey };
  };
  const arms: Arm[] = [];
  const main = await start("graphyn", stack.databases.graphynUrl);
  for (const { place, axis, size } of await fillMain(main.database, main.adminKey))
    arms.push(...OPERATIONS[axis].map((operation) => ({ axis, size, operation, database: main.database, place })));
  say("threads and messages are there");
  for (const size of COUNTS) {
    const name = `growth_${size}`;
    const { database, adminKey } = await start(name, await createDatabase(stack, name));
    const place = await fillOrganizations(database, adminKey, size);
    arms.push(
      ...OPERATIONS.organizations.map((operation) => ({
        axis: "organizations" as const,
        size,
        operation,
        database,
        place,
      })),
    );
    say(`${size} organizations are there`);
  }

  const others = watchOthers(pids);
  const measured = new Map<Arm, Measured>(
    arms.map((arm) => {
      const { axis, size, operation } = arm;
      return [arm, { axis, size, operation: operation.name, rounds: [], pages: 0, queries: 0, per_entry: false }];
    }),
  );
  const until = performance.now() + MEASURE_MS_MAX;
  for (let round = -1; round < args.rounds && (round < 1 || performance.now() < until); round++) {
    for (const arm of shuffled(arms, random)) {
      const samples = await visit(arm);
      if (round >= 0) measured.get(arm)?.rounds.push({ round, samples });
    }
    say(`round ${round}`);
  }
  const othersShare = others();

  const atRest: Measured[] = [];
  for (const database of new Set(arms.map((arm) => arm.database))) {
    const tap = await openQueryTap(database.url);
    stops.push(() => tap.close());
    const graphyn = await startGraphyn(stack, lettaUrl, { databaseUrl: tap.url, name: "tapped" });
    const all = arms.filter((arm) => arm.database === database);
    // What is appended is embedded two seconds later: not in the middle of another operation's queries.
    await embedded(database);
    const there = [
      ...all.filter(({ operation }) => operation !== APPEND),
      ...all.filter(({ operation }) => operation === APPEND),
    ];
    for (const arm of there) {
      const { operation, place } = arm;
      const api = { ...connect(graphyn.url), headers: place.organization.api.headers };
      const { pages, queries, perEntry } = await pagesOf(operation, api, place, tap, database.url);
      Object.assign(measured.get(arm) ?? {}, { pages, queries, per_entry: perEntry });
    }
    const [first] = there;
    if (first?.axis === "organizations") {
      await embedded(database);
      const { pages, queries } = await pagesAtRest(tap, database.url);
      const { axis, size } = first;
      atRest.push({
        axis,
        size,
        operation: "a process at rest, each query once",
        rounds: [],
        pages,
        queries,
        per_entry: false,
      });
    }
  }
  say("pages counted");

  const result: Result = {
    ...header,
    seconds: Math.round((performance.now() - began) / 1000),
    others_cpu_share: othersShare,
    axes: AXES,
    measured: [...measured.values(), ...atRest],
  };
  writeResult(args.out, "growth.json", `${JSON.stringify(result)}\n`);
  writeResult(args.out, "growth.md", report(result));
  writeResult(args.out, "growth.svg", chart(result));
  if (args.readme) updateReadme("bench:growth", forReadme(result));
}

/** Times of one visit, ms: of a whole request, or of one entry. */
async function visit({ operation, database, place }: Arm): Promise<number[]> {
  const api = { ...database.api, headers: place.organization.api.headers };
  const samples: number[] = [];
  for (let n = -1; n < SAMPLES; n++) {
    const sent = performance.now();
    const entries = (await operation.ask(api, place)) ?? 1;
    if (n >= 0) samples.push((performance.now() - sent) / entries);
  }
  return samples;
}

type Sized = { axis: "messages" | "threads"; size: number; place: Place };

/** One organization with threads of each length, and one for each number of threads. */
async function fillMain(database: Database, adminKey: string): Promise<Sized[]> {
  const long = await createOrganization(database.api, adminKey);
  const sized: Sized[] = [];
  for (const size of MESSAGES) {
    const threadId = await haveConversation(long, MODEL);
    sized.push({ axis: "messages", size, place: { organization: long, threadId, lastSeq: 0 } });
  }
  for (const size of COUNTS) {
    const organization = await createOrganization(database.api, adminKey);
    const threadId = await haveConversation(organization, MODEL);
    sized.push({ axis: "threads", size, place: { organization, threadId, lastSeq: 0 } });
  }
  await fill(database.adminUrl, async (client) => {
    for (const { axis, size, place } of sized) {
      if (axis === "threads") await moreThreads(client, place.organization.id, size);
      else await makeLonger(client, place.organization.id, place.threadId, size / MESSAGES_OF_CONVERSATION);
    }
    for (const { axis, size, place } of sized)
      await checkThread(client, place.threadId, axis === "messages" ? size : MESSAGES_OF_CONVERSATION);
  });
  await settle(
    database,
    sized.map(({ place }) => place),
  );
  return sized;
}

async function fillOrganizations(database: Database, adminKey: string, size: number): Promise<Place> {
  const organization = await createOrganization(database.api, adminKey);
  const place = { organization, threadId: await haveConversation(organization, MODEL), lastSeq: 0 };
  await fill(database.adminUrl, async (client) => {
    await moreOrganizations(client, organization.id, size);
    await checkThread(client, place.threadId, MESSAGES_OF_CONVERSATION);
  });
  await settle(database, [place]);
  return place;
}

/** What searches are to find is said and embedded, and it is known where each log ends. */
async function settle(database: Database, places: Place[]): Promise<void> {
  for (const { organization, threadId } of places) await sayRare(organization, threadId);
  await embedded(database);
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  try {
    for (const place of places) {
      const { rows } = await client.query<{ last_seq: string }>("select last_seq from threads where id = $1", [
        place.threadId,
      ]);
      place.lastSeq = Number(rows[0]?.last_seq);
    }
  } finally {
    await client.end();
  }
}

async function embedded(database: Database): Promise<void> {
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  await untilEmbedded(client).finally(() => client.end());
}
