/**
 * `npm run bench:gateway`: the model itself (M), Letta called directly (L), Graphyn relaying Letta (R), Graphyn by its model gateway without
 * asking ahead (W) and with it (A), and Agno AgentOS (AGNO), in one run with the same dev model: time to the first text by the model's own and
 * by how many ask at once, answers a second and Letta's CPU by length, delay added to each token of a paced answer.
 * Starts a stack of its own. `--rounds N` (of the scenario 1 at a time), `--seed N`, `--loaded-machine-ok`, `--out FOLDER`, `--readme`.
 */
import pg from "pg";
import { chooseModels, GATEWAY_PATH } from "../../launcher/stack/models";
import { AGNO_VERSION, startAgno } from "../lib/agno";
import { readArguments } from "../lib/arguments";
import { measure, type RigOptions, type Visit } from "../lib/arms";
import { watchOthers } from "../lib/cpu";
import { createAgent, createOrganization, type Organization } from "../lib/graphyn";
import { type Api, call, connect } from "../lib/http";
import { makePhases } from "../lib/phases";
import { stamp, updateReadme, writeResult } from "../lib/result";
import { type Base, createDatabase, startGraphyn, startStack, withDatabase, withStops } from "../lib/stack";
import { measurePaced, PACED_MODEL } from "./paced";
import { forReadme, type Result, report } from "./report";
import { agnoTarget, armsFor, graphynTarget, type Line, lettaTarget, modelTarget, type Target } from "./targets";

/** Model, and its own time to the first token, ms. */
const DELAYS = [
  ["dev-n20", 0],
  ["dev-n20-d100", 100],
  ["dev-n20-d300", 300],
] as const;
const LONG = "dev-n300";
const MODELS = [...DELAYS.map(([model]) => model), LONG, PACED_MODEL];
/** Most first: conversations begin there, in a warm-up round, and fewer go on with some of them. */
const AT_ONCE = [
  { atOnce: 20, warmUpRounds: 1, share: 0.15, budgetMs: 30_000 },
  { atOnce: 5, warmUpRounds: 0, share: 0.4, budgetMs: 20_000 },
  { atOnce: 1, warmUpRounds: 0, share: 1, budgetMs: 35_000 },
];
/** For answers a second. Each of them sends its second message when its first is answered. */
const RATE_AT_ONCE = 8;
const ANSWERS_EACH = 2;
const RATE_ROUNDS = 3;
const RATE_MS_MAX = { [DELAYS[0][0]]: 30_000, [LONG]: 60_000 } as const;
const PACED = { rounds: 2, budgetMs: 30_000 };

const args = readArguments({ rounds: 15 });
const header = await stamp("gateway", args.seed, args.loadedMachineOk);
await withStops(run);

interface Running {
  url: string;
  pid: number;
  adminKey: string;
}

async function run(stops: (() => Promise<unknown>)[]): Promise<void> {
  const { say, seconds } = makePhases();
  const graphyns = new Map<"R" | "W" | "A", Running>();
  const stack = await startStack(stops, {
    record: true,
    beforeLetta: async (base) => {
      const lettaUrl = `http://127.0.0.1:${base.lettaPort}`;
      const behind = async (database: string, more: Record<string, string>) => {
        const key = base.secrets.modelGatewayKey;
        const { graphynEnv } = chooseModels({}, `${base.modelUrl}/v1`, { base: "http://127.0.0.1", key });
        const databaseUrl = await createDatabase(base, database);
        return startGraphyn(base, lettaUrl, { databaseUrl, name: database, env: { ...graphynEnv, ...more } });
      };
      graphyns.set("R", await startGraphyn(base, lettaUrl, { name: "graphyn_relaying", env: base.models.graphynEnv }));
      graphyns.set("W", await behind("graphyn_waiting", { GRAPHYN_ASK_AHEAD: "off" }));
      const ahead = await behind("graphyn_ahead", {});
      graphyns.set("A", ahead);
      return { base: ahead.url + GATEWAY_PATH, key: base.secrets.modelGatewayKey };
    },
  });
  const agno = await startAgno(stack, MODELS);
  say("the stack runs");

  const model = connect(stack.modelUrl);
  const made = new Map<string, Made>();
  for (const [name, graphyn] of graphyns) made.set(name, await makeAgents(stack, graphyn, name === "R"));
  const [relaying, waiting, ahead] = ["R", "W", "A"].map((name) => made.get(name) as Made) as [Made, Made, Made];
  const letta = connect(`http://127.0.0.1:${stack.lettaPort}`, {
    authorization: `Bearer ${stack.secrets.lettaServer}`,
    user_id: relaying.lettaUser,
  });
  const agnoApi = connect(agno.url);
  const targets: Target[] = [
    modelTarget(model),
    lettaTarget(letta, relaying.lettaAgents),
    graphynTarget("R", "Graphyn relaying", relaying.organization, relaying.agents),
    graphynTarget("W", "Graphyn by gateway", waiting.organization, waiting.agents),
    graphynTarget("A", "Graphyn asking ahead", ahead.organization, ahead.agents),
    agnoTarget(agnoApi),
  ];
  const pids = Object.fromEntries([...graphyns].map(([name, { pid }]) => [`graphyn_${name}`, pid]));
  const accounted = { ...stack.pids, ...pids, agno: agno.pid, bench: process.pid };
  const others = watchOthers(Object.values(accounted).filter((pid) => pid !== process.pid));
  const rig = { seed: args.seed, accounted };
  const conversations = new Map<string, () => Promise<Line>>();
  say(`${MODELS.length} agents each`);

  const firstText: Result["first_text"] = [];
  for (const [id, delay_ms] of DELAYS) {
    for (const { share, ...scenario } of AT_ONCE) {
      const options: RigOptions = { ...rig, ...scenario, rounds: Math.max(1, Math.round(args.rounds * share)) };
      const visits = await measure(armsFor(targets, id, conversations), options);
      firstText.push({ delay_ms, at_once: scenario.atOnce, visits });
      say(`first text, model ${delay_ms} ms, ${scenario.atOnce} at once: ${visits.length} visits${failed(visits)}`);
    }
  }
  const rates: Result["rates"] = [];
  for (const [id, tokens, warmUpRounds] of [[DELAYS[0][0], 20, 0] as const, [LONG, 300, 1] as const]) {
    const rounds = Math.min(RATE_ROUNDS, args.rounds);
    const options = { ...rig, atOnce: RATE_AT_ONCE, warmUpRounds, rounds, budgetMs: RATE_MS_MAX[id] };
    const visits = await measure(armsFor(targets, id, conversations, ANSWERS_EACH), options);
    rates.push({ tokens, at_once: RATE_AT_ONCE, each: ANSWERS_EACH, visits });
    say(`answers of ${tokens} tokens, ${RATE_AT_ONCE} at once: ${visits.length} visits${failed(visits)}`);
  }
  const paced = await measurePaced(targets, model, { seed: args.seed, ...PACED });
  say("paced answers measured");

  const result: Result = {
    ...header,
    versions: {
      letta: (await call<{ version: string }>(letta, "GET", "/v1/health/")).version,
      postgres: await postgresVersion(stack.adminUrl),
      agno: AGNO_VERSION,
    },
    arms: Object.fromEntries(targets.map(({ name, title }) => [name, title])),
    seconds: seconds(),
    others_cpu_share: others(),
    first_text: firstText,
    rates,
    paced,
  };
  const text = report(result);
  console.log(`\n${text}`);
  writeResult(args.out, "gateway.json", JSON.stringify(result));
  writeResult(args.out, "gateway.md", text);
  if (args.readme) updateReadme("bench:gateway", forReadme(result));
  const apis: Api[] = [model, letta, agnoApi, ...[...made.values()].map(({ organization }) => organization.api)];
  for (const api of apis) await api.pool.destroy();
}

interface Made {
  organization: Organization;
  lettaUser: string;
  /** By model. */
  agents: Map<string, string>;
  lettaAgents: Map<string, string>;
}

/**
 * An organization and an agent of each model. One Letta serves all arms; an agent's model address decides whether it asks the model itself or
 * the gateway of the Graphyn it belongs to.
 */
async function makeAgents(stack: Base, { url, adminKey }: Running, asksModelItself: boolean): Promise<Made> {
  const organization = await createOrganization(connect(url), adminKey);
  const agents = new Map<string, string>();
  const lettaAgents = new Map<string, string>();
  for (const model of MODELS) {
    const made = await createAgent(organization.api, model);
    agents.set(model, made.agent_id);
    lettaAgents.set(model, made.letta_id);
  }
  const letta = new pg.Client({ connectionString: withDatabase(stack.adminUrl, "letta") });
  await letta.connect();
  try {
    const { rows } = await letta.query<{ user: string }>(
      `update agents set llm_config = (llm_config::jsonb || jsonb_build_object('model_endpoint', $1::text))::json
        where id = any($2) returning _created_by_id as user`,
      [asksModelItself ? `${stack.modelUrl}/v1` : url + GATEWAY_PATH, [...lettaAgents.values()]],
    );
    return { organization, agents, lettaAgents, lettaUser: rows[0]?.user ?? "" };
  } finally {
    await letta.end();
  }
}

async function postgresVersion(url: string): Promise<string> {
  const db = new pg.Client({ connectionString: url });
  await db.connect();
  const { rows } = await db.query<{ version: string }>("select version()");
  await db.end();
  return (rows[0]?.version ?? "").split(" on ", 1)[0] ?? "";
}

function failed(visits: readonly Visit[]): string {
  const failures = visits.flatMap(({ arm, failures }) => failures.map((failure) => `${arm}: ${failure}`));
  return failures.length === 0 ? "" : `, ${failures.length} failed, the first ${failures[0]}`;
}
