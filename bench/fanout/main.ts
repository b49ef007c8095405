/**
 * `npm run bench:fanout`: one Graphyn process and many readers. 1000 readers on one thread and on 100 threads while agents speak, against a
 * bare node:http server that writes events of the same size to as many sockets, and, in one round, against @durable-streams/server and the
 * turns with a single reader each; memory of idle readers up to 5000; 1000 readers cut off at once that come back. Starts a stack of its
 * own. `--rounds N`, `--seed N`, `--loaded-machine-ok`, `--out FOLDER`, `--readme`.
 */
import { chooseModels, GATEWAY_PATH } from "../../launcher/stack/models";
import { readArguments } from "../lib/arguments";
import { watchOthers } from "../lib/cpu";
import { createAgent, createOrganization } from "../lib/graphyn";
import { connect } from "../lib/http";
import { makePhases } from "../lib/phases";
import { stamp, updateReadme, writeResult } from "../lib/result";
import { startGraphyn, startStack, withStops } from "../lib/stack";
import { seededRandom, shuffled } from "../lib/stats";
import { SCENARIOS, throughGraphyn, throughRival } from "./deliver";
import { idleMemory } from "./idle";
import { chartOf, type Delivered, forReadme, type Result, report } from "./report";
import { startBare, startChild, startDurable } from "./servers";
import { OTHERS_MODEL, reconnectStorm, STORM_MODEL } from "./storm";

/** About as long as one of Graphyn's events is; what arrives of a round replaces it. */
const EVENT_CHARS = 330;

const args = readArguments({ rounds: 2 });
const header = await stamp("fanout", args.seed, args.loadedMachineOk);
const random = seededRandom(args.seed);
await withStops(run);

async function run(stops: (() => Promise<unknown>)[]): Promise<void> {
  const { say, seconds } = makePhases();
  let graphyn = { url: "", pid: 0, adminKey: "" };
  const stack = await startStack(stops, {
    record: true,
    beforeLetta: async (base) => {
      const key = base.secrets.modelGatewayKey;
      const { graphynEnv } = chooseModels({}, `${base.modelUrl}/v1`, { base: "http://127.0.0.1", key });
      graphyn = await startGraphyn(base, `http://127.0.0.1:${base.lettaPort}`, {
        env: { ...graphynEnv, GRAPHYN_ASK_AHEAD: "off" },
      });
      // Off, because delays begin where the model sent a token, and a guess is shown only when Letta has asked.
      return { base: graphyn.url + GATEWAY_PATH, key };
    },
  });
  const [bare, durable] = [await startBare(stops), await startDurable(stops, stack)];
  const readers = startChild(stops, "./readers.ts");
  const organization = await createOrganization(connect(graphyn.url), graphyn.adminKey);
  const agents = new Map<string, string>();
  for (const model of [...SCENARIOS.map(({ model }) => model), STORM_MODEL, OTHERS_MODEL])
    agents.set(model, (await createAgent(organization.api, model)).agent_id);
  const others = watchOthers([...Object.values(stack.pids), graphyn.pid, bare.pid, durable.pid, readers.pid]);
  say("the stack runs");

  const delivered: Delivered[] = [];
  let chars = EVENT_CHARS;
  for (let round = -1; round < args.rounds; round++) {
    for (const scenario of SCENARIOS) {
      const agent = agents.get(scenario.model) ?? "";
      const through = { readers, organization, agent, graphyn, modelUrl: stack.modelUrl };
      const arms: Record<Delivered["arm"], () => ReturnType<typeof throughGraphyn>> = {
        graphyn: () => throughGraphyn(scenario, through),
        bare: () => throughRival(scenario, { readers, rival: bare, chars }),
        durable: () => throughRival(scenario, { readers, rival: durable, chars }),
        turns: () => throughGraphyn(scenario, through, 1),
      };
      for (const arm of shuffled(armsOf(round), random)) {
        const measured = await arms[arm]();
        if (arm === "graphyn") chars = Math.round(measured.bytes / measured.events);
        if (round >= 0) delivered.push({ ...measured, arm, round, scenario: scenario.name });
        say(`round ${round}, ${scenario.name}, ${arm}: ${measured.events} events in ${measured.seconds.toFixed(1)} s`);
      }
    }
  }
  const storm = await reconnectStorm({ readers, organization, graphyn, agents });
  say(`1000 readers were back after ${storm.storms.map(({ ms }) => ms.toFixed(0)).join(", ")} ms`);
  const idle = await idleMemory({ readers, graphyn });
  say("5000 readers");

  const result: Result = {
    ...header,
    seconds: seconds(),
    others_cpu_share: others(),
    delivered,
    storm,
    idle,
  };
  const text = report(result);
  console.log(`\n${text}`);
  writeResult(args.out, "fanout.json", `${JSON.stringify(result)}\n`);
  writeResult(args.out, "fanout.md", text);
  writeResult(args.out, "fanout.svg", chartOf(result));
  if (args.readme) updateReadme("bench:fanout", forReadme(result));
  await organization.api.pool.destroy();
}

/** The two that the bar compares, in every round; the first round, which warms them up, is not counted. The others once. */
function armsOf(round: number): Delivered["arm"][] {
  return round === 0 ? ["graphyn", "bare", "durable", "turns"] : ["graphyn", "bare"];
}
