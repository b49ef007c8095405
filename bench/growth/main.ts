/**
 * `npm run bench:growth`: what people do all day, in threads of 10, 1 000 and 100 000 messages, among 1, 100 and 10 000 threads, and among 1, 100
 * and 10 000 organizations: time over HTTP, and pages that the queries touch. Starts a stack of its own. `--rounds N`, `--seed N`,
 * `--loaded-machine-ok`, `--out FOLDER`, `--readme`.
 */
import { openQueryTap } from "../../backend/__tests__/harness/query-tap";
import { readArguments } from "../lib/arguments";
import { watchOthers } from "../lib/cpu";
import { type Api, connect } from "../lib/http";
import { makePhases } from "../lib/phases";
import { stamp, updateReadme, writeResult } from "../lib/result";
import { createDatabase, startGraphyn, startStack, withDatabase, withStops } from "../lib/stack";
import { seededRandom, shuffled } from "../lib/stats";
import { asClient, MESSAGES_OF_CONVERSATION, untilEmbedded } from "./fill";
import {
  APPEND,
  AUTHENTICATE,
  CLAIM,
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
import { COUNTS, fillMain, fillOrganizations, MESSAGES } from "./places";
import { chart, forReadme, type Measured, type Result, report } from "./report";

/** Requests of a visit that count, after one that does not. */
const SAMPLES = 2;
/** Stop beginning rounds after this time; what was measured counts. */
const MEASURE_MS_MAX = 100_000;
const START_MS_MAX = 120_000;
const FILL_MS_MAX = 300_000;
/** Of one database. */
const PAGES_MS_MAX = 120_000;

const AXES = {
  messages: `One organization with threads of ${MESSAGES.join(", ")} messages of people and an agent, beside the organizations of the next table.`,
  threads: `Organizations with ${COUNTS.join(", ")} threads of ${MESSAGES_OF_CONVERSATION} messages each, in the same database.`,
  organizations: `Databases with ${COUNTS.join(", ")} organizations, each with an agent and a thread of ten messages; the first of them is asked.`,
};
const ALL = [READ_THREAD, FIRST_PAGE, LAST_PAGE, RESUME_NEAR, APPEND];
const OPERATIONS: Record<keyof typeof AXES, Operation[]> = {
  messages: [...ALL, RESUME_MIDDLE, ...searches.inThread],
  threads: [...ALL, LIST_THREADS, ...searches.everywhere, ...searches.inThread],
  organizations: [...ALL, LIST_THREADS, AUTHENTICATE, CLAIM, ...searches.everywhere],
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
  const { say, phase, seconds } = makePhases();
  const stack = await phase("start PostgreSQL, the dev model and Letta", START_MS_MAX, () => startStack(stops));
  const lettaUrl = `http://127.0.0.1:${stack.lettaPort}`;
  const pids: number[] = Object.values(stack.pids);
  const start = async (name: string, url: string) => {
    const graphyn = await startGraphyn(stack, lettaUrl, { databaseUrl: url, name });
    pids.push(graphyn.pid);
    const database = { url, adminUrl: withDatabase(stack.adminUrl, name), api: connect(graphyn.url) };
    return { database, adminKey: graphyn.adminKey, say };
  };
  const arms: Arm[] = [];
  await phase("threads and messages", FILL_MS_MAX, async () => {
    const main = await start("graphyn", stack.databases.graphynUrl);
    for (const { place, axis, size } of await fillMain(main))
      arms.push(...OPERATIONS[axis].map((operation) => ({ axis, size, operation, database: main.database, place })));
  });
  for (const size of COUNTS)
    await phase(`${size} organizations`, FILL_MS_MAX, async () => {
      const name = `growth_${size}`;
      const one = await start(name, await createDatabase(stack, name));
      const place = await fillOrganizations(one, size);
      const axis = "organizations";
      const { database } = one;
      arms.push(...OPERATIONS[axis].map((operation) => ({ axis, size, operation, database, place }) as const));
    });

  const others = watchOthers(pids);
  const measured = new Map<Arm, Measured>(
    arms.map((arm) => {
      const { axis, size, operation } = arm;
      return [arm, { axis, size, operation: operation.name, rounds: [], pages: 0, queries: 0, per_entry: false }];
    }),
  );
  const until = performance.now() + MEASURE_MS_MAX;
  for (let round = -1; round < args.rounds && (round < 1 || performance.now() < until); round++)
    await phase(`round ${round}`, MEASURE_MS_MAX, async () => {
      for (const arm of shuffled(arms, random)) {
        const samples = await visit(arm);
        if (round >= 0) measured.get(arm)?.rounds.push({ round, samples });
      }
    });
  const othersShare = others();

  const atRest: Measured[] = [];
  for (const database of new Set(arms.map((arm) => arm.database)))
    await phase(`pages in ${new URL(database.url).pathname.slice(1)}`, PAGES_MS_MAX, async () => {
      const tap = await openQueryTap(database.url);
      stops.push(() => tap.close());
      const graphyn = await startGraphyn(stack, lettaUrl, { databaseUrl: tap.url, name: "tapped" });
      const all = arms.filter((arm) => arm.database === database);
      // What is appended is embedded two seconds later: not in the middle of another operation's queries.
      await asClient(database.adminUrl, untilEmbedded);
      const there = [
        ...all.filter(({ operation }) => operation !== APPEND),
        ...all.filter(({ operation }) => operation === APPEND),
      ];
      for (const arm of there) {
        const { operation, place } = arm;
        const api = { ...connect(graphyn.url), headers: place.organization.api.headers };
        const { perEntry, ...counted } = await pagesOf(operation, api, place, tap, database);
        Object.assign(measured.get(arm) ?? {}, { ...counted, per_entry: perEntry });
      }
      const [first] = there;
      if (first?.axis !== "organizations") return;
      await asClient(database.adminUrl, untilEmbedded);
      const counted = await pagesAtRest(tap, database.url);
      const { axis, size } = first;
      const operation = "a process at rest, each query once";
      atRest.push({ axis, size, operation, rounds: [], per_entry: false, ...counted });
    });

  const result: Result = {
    ...header,
    seconds: seconds(),
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
  for (let n = operation.isDear ? SAMPLES - 1 : -1; n < SAMPLES; n++) {
    const { ask, over } = await operation.prepare(api, place);
    const sent = performance.now();
    const entries = (await ask()) ?? 1;
    if (n >= 0) samples.push((performance.now() - sent) / entries);
    await over?.();
  }
  return samples;
}
