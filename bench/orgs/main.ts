/**
 * `npm run bench:orgs`: a hundred organizations, each with its agents and threads, all posting at once: whether all are answered, whether
 * any prompt or answer holds a word of another organization, how long each organization waits against the median one; the same with one
 * organization that posts as much as all others together; and answers a second with one Letta server and with two on the same database.
 * Starts a stack of its own; making the organizations is not measured. `--rounds N`, `--seed N`, `--loaded-machine-ok`, `--out FOLDER`, `--readme`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { lettaUrl, startLetta, stopLetta } from "../../launcher/stack/letta";
import { keepOrChoosePort } from "../../launcher/stack/ports";
import { readArguments } from "../lib/arguments";
import { watchOthers } from "../lib/cpu";
import { createOrganization, createThread, postMessage } from "../lib/graphyn";
import { type Api, call, connect } from "../lib/http";
import { stamp, updateReadme, writeResult } from "../lib/result";
import { startGraphyn, startStack, withStops } from "../lib/stack";
import { seededRandom, shuffled } from "../lib/stats";
import { chart } from "./chart";
import { canariesIn, crossings } from "./crossing";
import { barsTable, ofMedian, type Phase, type Result, report } from "./report";

const ORGANIZATIONS = 100;
const AGENTS = 2;
/** Of the noisy organization, a message each; all others together have twice as many as they are. */
const NOISY_THREADS = 200;
/** Says what it was told. */
const MODEL = "dev-echo";
/** Organizations made at once: Letta takes about a second of CPU for each. */
const MAKING = 4;
const MAKING_MS_MAX = 240_000;
const PHASE_MS_MAX = 180_000;
const LOOK_MS = 250;
/** The model's record holds so many requests. */
const RECORDED_MAX = 1_000;

const args = readArguments({ rounds: 1 });
const header = await stamp("orgs", args.seed, args.loadedMachineOk);
const random = seededRandom(args.seed);
await withStops(run);

interface Tenant {
  id: string;
  canary: string;
  headers: Record<string, string>;
  /** One agent in each. */
  threads: string[];
}

interface Way {
  lettas: number;
  api: Api;
}

async function run(stops: (() => Promise<unknown>)[]): Promise<void> {
  const began = performance.now();
  const say = (text: string) =>
    console.log(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text}`);
  const stack = await startStack(stops, { record: true });
  const first = lettaUrl(stack.lettaPort);
  const port = await keepOrChoosePort(undefined);
  const letta = await startLetta({ ...stack.lettaOptions, port });
  stops.push(() => stopLetta(letta));
  const one = await startGraphyn(stack, first, { name: "one", env: stack.models.graphynEnv });
  const two = await startGraphyn(stack, `${first},${lettaUrl(port)}`, { name: "two", env: stack.models.graphynEnv });
  const ways: Way[] = [
    { lettas: 1, api: connect(one.url) },
    { lettas: 2, api: connect(two.url) },
  ];
  say("two Letta servers on one database, a Graphyn with one of them and a Graphyn with both");

  const db = new pg.Client({ connectionString: stack.adminUrl });
  await db.connect();
  stops.push(() => db.end());
  const makers = connect(two.url);
  const tenants: Tenant[] = [];
  const late = performance.now() + MAKING_MS_MAX;
  const left = Array.from({ length: ORGANIZATIONS }, (_, n) => n);
  await Promise.all(
    Array.from({ length: MAKING }, async () => {
      for (let n = left.shift(); n !== undefined; n = left.shift()) {
        if (performance.now() > late) throw new Error(`the organizations were not made in ${MAKING_MS_MAX} ms`);
        tenants.push(await makeTenant(makers, two.adminKey, n === 0 ? NOISY_THREADS : 0));
        if (tenants.length % 20 === 0) say(`${tenants.length} organizations`);
      }
    }),
  );
  const noisy = tenants.find(({ threads }) => threads.length > AGENTS);
  if (noisy === undefined) throw new Error("no noisy organization");

  const others = watchOthers([...Object.values(stack.pids), letta.pid, one.pid, two.pid]);
  const model = connect(stack.modelUrl);
  const phases: Phase[] = [];
  for (let round = 0; round < args.rounds; round++) {
    for (const way of shuffled(ways, random)) {
      for (const name of way.lettas === 1
        ? (["all at once", "one of them noisy"] as const)
        : (["all at once"] as const)) {
        const phase = await measure(db, model, way, tenants, name === "all at once" ? null : noisy, round);
        phases.push(phase);
        say(
          `${name}, ${way.lettas} Letta: ${phase.answered} of ${phase.messages} in ${phase.seconds.toFixed(0)} s, ` +
            `longest wait ${ofMedian(phase).toFixed(2)} x the median, ${phase.crossed} crossed`,
        );
      }
    }
  }
  const result: Result = {
    ...header,
    seconds: Math.round((performance.now() - began) / 1000),
    others_cpu_share: others(),
    phases,
  };
  writeResult(args.out, "orgs.json", `${JSON.stringify(result)}\n`);
  writeResult(args.out, "orgs.md", report(result));
  writeResult(args.out, "orgs.svg", chart(phases));
  if (args.readme) updateReadme("bench:orgs", `${barsTable(result)}\n\n![](bench/results/orgs.svg)`);
}

async function makeTenant(graphyn: Api, adminKey: string, more: number): Promise<Tenant> {
  const { id, api } = await createOrganization(graphyn, adminKey);
  const canary = `canary-${id.slice(-12).toLowerCase()}`;
  const threads: string[] = [];
  for (let n = 0; n < AGENTS; n++) {
    const { agent_id } = await call<{ agent_id: string }>(api, "POST", "/agents", {
      name: `Agent ${n}`,
      system_prompt: `You are Agent ${n}. Your word is ${canary}.`,
      model: `openai-proxy/${MODEL}`,
    });
    const count = 1 + (n === 0 ? more : 0);
    for (let made = 0; made < count; made++) threads.push(await createThread(api, [agent_id]));
  }
  return { id, canary, headers: api.headers, threads };
}

/** Everybody posts at once; over when no turn is left. Waits are the database's own times. */
async function measure(
  db: pg.Client,
  model: Api,
  { lettas, api }: Way,
  tenants: Tenant[],
  noisy: Tenant | null,
  round: number,
): Promise<Phase> {
  await call(model, "DELETE", "/debug/requests");
  const [{ now } = { now: new Date() }] = (await db.query<{ now: Date }>("select clock_timestamp() as now")).rows;
  const begun = performance.now();
  // The noisy one first, so that it is in everybody's way.
  const first = noisy === null ? [] : noisy.threads.map((id) => ({ tenant: noisy, id }));
  const quiet = tenants
    .filter((tenant) => tenant !== noisy)
    .flatMap((tenant) => tenant.threads.slice(-AGENTS).map((id) => ({ tenant, id })));
  const all = [...first, ...shuffled(quiet, random)];
  const posted = Promise.all(
    all.map(({ tenant, id }) =>
      postMessage({ ...api, headers: tenant.headers }, id, `${tenant.canary} says ${id} in round ${round}`),
    ),
  );
  posted.catch(() => undefined); // told below
  const prompts = new Map<number | string, string>();
  for (let live = all.length; live > 0; ) {
    if (performance.now() - begun > PHASE_MS_MAX) break;
    await sleep(LOOK_MS);
    for (const { id, body } of await recorded(model)) prompts.set(id, JSON.stringify(body));
    const { rows } = await db.query<{ ended: number }>(
      "select count(*)::int as ended from turns where queued_at >= $1 and ended_at is not null",
      [now],
    );
    live = all.length - (rows[0]?.ended ?? 0);
  }
  const seconds = (performance.now() - begun) / 1000;
  await posted;
  const { rows } = await db.query<{ org_id: string; ms: number; content: string; state: string }>(
    `select t.org_id, extract(epoch from t.ended_at - t.queued_at)::float8 * 1000 as ms, t.state, coalesce(m.content, '') as content
      from turns t left join messages m on (m.org_id, m.thread_id, m.turn_id) = (t.org_id, t.thread_id, t.id)
      where t.queued_at >= $1 and t.ended_at is not null`,
    [now],
  );
  const canaryOf = new Map(tenants.map(({ id, canary }) => [id, canary]));
  const waits = new Map<string, number[]>();
  for (const { org_id, ms } of rows) if (org_id !== noisy?.id) waits.set(org_id, [...(waits.get(org_id) ?? []), ms]);
  const answers = rows.map(({ org_id, content }) => ({ canary: canaryOf.get(org_id) ?? "", text: content }));
  return {
    name: noisy === null ? "all at once" : "one of them noisy",
    lettas,
    round,
    organizations: tenants.length,
    messages: all.length,
    noisy_messages: first.length,
    answered: rows.filter(
      ({ org_id, state, content }) => state === "completed" && content.includes(canaryOf.get(org_id) ?? "?"),
    ).length,
    crossed: crossings(answers) + [...prompts.values()].filter((text) => canariesIn(text).size > 1).length,
    seconds,
    waiting_ms: [...waits.values()].map((list) => list.reduce((sum, ms) => sum + ms, 0) / list.length),
  };
}

async function recorded(model: Api): Promise<{ id: number | string; body: unknown }[]> {
  const path = `/debug/requests?contains=canary-&limit=${RECORDED_MAX}`;
  return (await call<{ requests: { id: number | string; body: unknown }[] }>(model, "GET", path)).requests;
}
