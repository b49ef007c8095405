/**
 * `npm run bench:orgs`: a hundred organizations, each with its agents and threads, all posting at once: whether all are answered, whether
 * any prompt or answer holds a word of another organization, how long each organization waits against the median one; the same with a noisy
 * one; single messages behind a thousand waiting turns of another; answers a second with one Letta server and with two on one database, and
 * what the death of one of them costs. Starts a stack of its own; making the organizations is not measured. `--rounds N`, `--seed N`,
 * `--loaded-machine-ok`, `--out FOLDER`, `--readme`.
 */
import pg from "pg";
import { lettaUrl, startLetta, stopLetta } from "../../launcher/stack/letta";
import { chooseModels, GATEWAY_PATH } from "../../launcher/stack/models";
import { keepOrChoosePort } from "../../launcher/stack/ports";
import { readArguments } from "../lib/arguments";
import { watchOthers } from "../lib/cpu";
import { connect } from "../lib/http";
import { makePhases } from "../lib/phases";
import { stamp, updateReadme, writeResult } from "../lib/result";
import { type Base, startGraphyn, startStack, withStops } from "../lib/stack";
import { seededRandom, shuffled } from "../lib/stats";
import { chart } from "./chart";
import { flood, PLACES } from "./flood";
import { type Plan, runPhase } from "./phase";
import { forReadme, ofMedian, type Phase, type Result, report } from "./report";
import { AGENTS, makeTenants, type Tenant } from "./tenants";
import { lettaUsers, metric, speakingNow, type World } from "./world";

const ORGANIZATIONS = 100;
/** Messages of the noisy one beside the others', who say one in each of their threads; of each other organization they are two. */
const NOISY_MESSAGES = 100;
const FLOOD_TURNS = 1_000;
const SINGLES = 10;
/** A model that takes four seconds to its first word: then Letta's places are what is scarce, and not its CPU. */
const SLOW = { organizations: 64, orders: "!slow 4000" };
/** Answers that take about ten seconds; a server is killed as soon as so many are in the middle of one. */
const KILLED = { organizations: 48, orders: "!rate 1", speaking: 10 };
/** Before what is measured, once for each set of servers. */
const WARM_UP_MESSAGES = 20;

const args = readArguments({ rounds: 1 });
const header = await stamp("orgs", args.seed, args.loadedMachineOk);
const random = seededRandom(args.seed);
await withStops(run);

async function run(stops: (() => Promise<unknown>)[]): Promise<void> {
  const { say, seconds } = makePhases();
  const port = await keepOrChoosePort(undefined);
  /** Graphyn with these servers, where Letta expects the gateway to be. One runs at a time. */
  const graphynWith = (base: Base, urls: string[], env: Record<string, string> = {}) => {
    const key = base.secrets.modelGatewayKey;
    const { graphynEnv } = chooseModels({}, `${base.modelUrl}/v1`, { base: "http://127.0.0.1", key });
    return startGraphyn(base, urls.join(","), { port, env: { ...graphynEnv, ...env } });
  };
  let graphyn: Awaited<ReturnType<typeof startGraphyn>> | undefined;
  const stack = await startStack(stops, {
    record: true,
    beforeLetta: async (base) => {
      graphyn = await graphynWith(base, [lettaUrl(base.lettaPort)]);
      return { base: graphyn.url + GATEWAY_PATH, key: base.secrets.modelGatewayKey };
    },
  });
  if (graphyn === undefined) throw new Error("Graphyn did not start");
  const first = lettaUrl(stack.lettaPort);
  say("the stack runs");

  const db = new pg.Client({ connectionString: stack.adminUrl });
  await db.connect();
  stops.push(() => db.end());
  const tenants = await makeTenants(
    connect(graphyn.url),
    graphyn.adminKey,
    { count: ORGANIZATIONS, more: FLOOD_TURNS - AGENTS },
    (made) => made % 20 === 0 && say(`${made} organizations`),
  );
  const [noisy, ...quiet] = tenants as [Tenant, ...Tenant[]];
  const world: World = {
    db,
    model: connect(stack.modelUrl),
    tenants,
    orgOfLettaUser: await lettaUsers(db),
    metricsKey: stack.secrets.metricsKey,
  };
  const phases: Phase[] = [];
  let pids: Record<string, number> = { ...stack.pids, graphyn: graphyn.pid };
  const othersOf = () => watchOthers(Object.values(pids));
  const shares: number[] = [];
  const measure = async (plan: Omit<Plan, "pids" | "graphyn">, api = connect(graphyn?.url ?? "")) => {
    const others = othersOf();
    const phase = await runPhase(world, { ...plan, pids, graphyn: api });
    if (phase.name !== "one of two is killed") shares.push(others()); // what died there is nobody's any more
    phases.push(phase);
    say(
      `${phase.name}, ${phase.lettas} Letta: ${phase.answered} of ${phase.messages} in ${phase.seconds.toFixed(0)} s, ` +
        `longest wait ${ofMedian(phase).toFixed(2)} x the median, ${phase.crossed} crossed`,
    );
    await api.pool.destroy();
    return phase;
  };
  const everybody = (who: Tenant[]) =>
    shuffled(
      who.flatMap((tenant) => tenant.threads.slice(0, AGENTS).map((threadId) => ({ tenant, threadId }))),
      random,
    );
  const oneEach = (count: number) =>
    quiet.slice(0, count).map((tenant) => ({ tenant, threadId: tenant.threads[0] ?? "" }));
  const atOnce = (lettas: number, round: number) =>
    measure({ name: "all at once", lettas, round, sayings: everybody(tenants), noisy: null });
  const slow = (lettas: number, round: number) =>
    measure({
      name: "slow model",
      lettas,
      round,
      sayings: oneEach(SLOW.organizations),
      noisy: null,
      orders: SLOW.orders,
    });

  const warmUp = async (lettas: number) => {
    const plan = { name: "all at once", lettas, round: -1, sayings: oneEach(WARM_UP_MESSAGES), noisy: null } as const;
    await runPhase(world, { ...plan, pids, graphyn: connect(graphyn?.url ?? "") });
  };
  await warmUp(1);
  for (let round = 0; round < args.rounds; round++) {
    await atOnce(1, round);
    // The noisy one first, so that it is in everybody's way.
    const loud = noisy.threads.slice(0, NOISY_MESSAGES).map((threadId) => ({ tenant: noisy, threadId }));
    await measure({ name: "one of them noisy", lettas: 1, round, sayings: [...loud, ...everybody(quiet)], noisy });
    await slow(1, round);
  }

  const secondPort = await keepOrChoosePort(undefined);
  const second = await startLetta({ ...stack.lettaOptions, port: secondPort });
  stops.push(() => stopLetta(second));
  await graphyn.stop();
  graphyn = await graphynWith(stack, [first, lettaUrl(secondPort)]);
  pids = { ...stack.pids, second_letta: second.pid, graphyn: graphyn.pid };
  say("a second Letta server on the same database");
  await warmUp(2);
  for (let round = 0; round < args.rounds; round++) {
    await atOnce(2, round);
    await slow(2, round);
  }
  const api = connect(graphyn.url);
  let [inFlight, speaking] = [0, 0];
  const killed = await measure({
    name: "one of two is killed",
    lettas: 2,
    round: 0,
    sayings: oneEach(KILLED.organizations),
    noisy: null,
    orders: KILLED.orders,
    look: async () => {
      if (inFlight > 0) return;
      speaking = await speakingNow(db);
      if (speaking < KILLED.speaking) return;
      inFlight = await metric(world, api, "graphyn_letta_in_flight", 'server="letta-2"');
      process.kill(second.pid, "SIGKILL");
    },
  });
  await graphyn.stop();
  graphyn = await graphynWith(stack, [first], { LETTA_STREAMS_MAX: String(PLACES) });
  pids = { ...stack.pids, graphyn: graphyn.pid };
  const flooded = await flood(world, { graphyn: connect(graphyn.url), noisy, others: quiet.slice(0, SINGLES) });
  say(
    `single messages behind ${flooded.waiting} waiting turns: ${flooded.singles.map(({ slots }) => slots).join(", ")}`,
  );

  const result: Result = {
    ...header,
    seconds: seconds(),
    others_cpu_share: Math.max(...shares),
    phases,
    killed: { in_flight: inFlight, speaking, failed: killed.failed },
    flood: flooded,
  };
  writeResult(args.out, "orgs.json", `${JSON.stringify(result)}\n`);
  const text = report(result);
  console.log(`\n${text}`);
  writeResult(args.out, "orgs.md", text);
  writeResult(args.out, "orgs.svg", chart(phases));
  if (args.readme) updateReadme("bench:orgs", forReadme(result));
}
