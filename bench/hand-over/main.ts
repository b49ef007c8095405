/**
 * `npm run bench:hand-over`: what it costs that Letta's request for a turn reaches another Graphyn process than the one that runs the turn
 * and is handed over. Two processes; every turn runs in the second; a switch in front of both, which is Letta's model endpoint, sends its
 * requests to the second (direct) or the first (handed over), in random order, a pair a round. Nothing is asked ahead.
 * `--rounds N`, `--seed N`, `--loaded-machine-ok`, `--out FOLDER`. Chosen: docs/decisions/2026-11-22-model-gateway.md.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Pool } from "undici";
import { chooseModels, GATEWAY_PATH } from "../../launcher/stack/models";
import { readArguments } from "../lib/arguments";
import { createAgent, createOrganization, createThread, openStream, postAndFollow } from "../lib/graphyn";
import { call, connect } from "../lib/http";
import { markdownTable, ms, stamp, writeResult } from "../lib/result";
import { type Base, startGraphyn, startStack, withStops } from "../lib/stack";
import { type PairedDifference, pairedDifference, seededRandom, shuffled, summarize } from "../lib/stats";

const MODEL = "dev-n20";
const WARM_UP_ROUNDS = 5;
const THREADS = 4;

const WAYS = ["direct", "handed over"] as const;
type Way = (typeof WAYS)[number];

const MEASURES = {
  request_ms: "Letta's request complete → at the model",
  answer_ms: "the model's last token → the whole answer at Letta's door",
  first_text_ms: "message sent → first text at a reader",
} as const;
type Visit = { round: number; way: Way } & Record<keyof typeof MEASURES, number>;

interface Recorded {
  path: string;
  received_monotonic_ms: number;
  token_sent_monotonic_ms: number[];
}

const args = readArguments({ rounds: 60 });
const header = await stamp("hand-over", args.seed, args.loadedMachineOk);

await withStops(async (stops) => {
  const door = await startDoor();
  stops.push(door.stop);
  let runs: { url: string; adminKey: string } | undefined;
  const stack = await startStack(stops, {
    record: true,
    beforeLetta: async (base: Base) => {
      const lettaUrl = `http://127.0.0.1:${base.lettaPort}`;
      const key = base.secrets.modelGatewayKey;
      const { graphynEnv } = chooseModels({}, `${base.modelUrl}/v1`, { base: "http://127.0.0.1", key });
      const env = { ...graphynEnv, GRAPHYN_ASK_AHEAD: "off" };
      const first = await startGraphyn(base, lettaUrl, { name: "graphyn_first", env });
      runs = await startGraphyn(base, lettaUrl, { name: "graphyn_second", env });
      door.targets = { direct: new Pool(runs.url), "handed over": new Pool(first.url) };
      return { base: door.url + GATEWAY_PATH, key };
    },
  });
  if (runs === undefined) throw new Error("the second process did not start");
  const graphyn = connect(runs.url);
  const model = connect(stack.modelUrl);
  const { api } = await createOrganization(graphyn, runs.adminKey);
  const { agent_id } = await createAgent(api, MODEL);
  const threads = await Promise.all(
    Array.from({ length: THREADS }, async () => {
      const id = await createThread(api, [agent_id]);
      return { id, stream: await openStream(api, id) };
    }),
  );
  const random = seededRandom(args.seed);
  const visits: Visit[] = [];
  for (let round = -WARM_UP_ROUNDS; round < args.rounds; round++) {
    const thread = threads[(round + WARM_UP_ROUNDS) % THREADS] as (typeof threads)[number];
    for (const way of shuffled(WAYS, random)) {
      await call(model, "DELETE", "/debug/requests");
      door.way = way;
      const { first_text_ms } = await postAndFollow(api, thread.id, thread.stream, `Round ${round}.`);
      const passed = door.passed.splice(0);
      const recorded = (await call<{ requests: Recorded[] }>(model, "GET", "/debug/requests")).requests;
      const requests = recorded.filter(({ path }) => path.endsWith("/chat/completions")); // messages are embedded meanwhile
      const [request, pass] = [requests[0], passed[0]];
      if (requests.length !== 1 || passed.length !== 1 || !request || !pass || pass.way !== way) {
        throw new Error(`one request was to come, ${passed.length} came and ${requests.length} reached the model`);
      }
      const request_ms = request.received_monotonic_ms - pass.cameAt;
      const answer_ms = pass.answeredAt - (request.token_sent_monotonic_ms.at(-1) ?? Number.NaN);
      if (round >= 0) visits.push({ round, way, request_ms, answer_ms, first_text_ms });
    }
  }
  for (const { stream } of threads) stream.close();
  await Promise.all([graphyn.pool.close(), model.pool.close()]);

  const rows = (Object.keys(MEASURES) as (keyof typeof MEASURES)[]).map((measure) => {
    const [direct, handed] = WAYS.map((way) => summarize(visits.filter((v) => v.way === way).map((v) => v[measure])));
    const more = difference(visits, measure);
    return [
      MEASURES[measure],
      more.n,
      `${ms(direct?.p50 ?? Number.NaN)} / ${ms(direct?.p99 ?? Number.NaN)}`,
      `${ms(handed?.p50 ?? Number.NaN)} / ${ms(handed?.p99 ?? Number.NaN)}`,
      `${ms(more.p50)} (${ms(more.p50_ci95.low)} to ${ms(more.p50_ci95.high)})`,
      ms(more.p99),
    ];
  });
  const table = markdownTable(
    ["ms", "pairs", "direct p50 / p99", "handed over p50 / p99", "difference p50 (95 %)", "difference p99"],
    rows,
  );
  console.log(`\n${table}`);
  writeResult(args.out, "hand-over.md", `${table}\n`);
  writeResult(args.out, "hand-over.json", JSON.stringify({ ...header, model: MODEL, visits }));
});

function difference(visits: Visit[], measure: keyof typeof MEASURES): PairedDifference {
  const rounds = (way: Way) =>
    new Map(visits.filter((visit) => visit.way === way).map((visit) => [visit.round, [visit[measure]]]));
  return pairedDifference(rounds("handed over"), rounds("direct"), args.seed);
}

/** Milliseconds of the clock that all processes of the machine share, as the dev model's. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Letta's model endpoint: passes each request on as the way says, and notes when it had come whole and when its answer had. */
async function startDoor() {
  const door = {
    url: "",
    way: "direct" as Way,
    targets: {} as Partial<Record<Way, Pool>>,
    passed: [] as { way: Way; cameAt: number; answeredAt: number }[],
    stop: async () => {
      server.closeAllConnections();
      await Promise.all(Object.values(door.targets).map((pool) => pool.destroy()));
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer(async (req, resp) => {
    const { way } = door;
    const parts: Buffer[] = [];
    for await (const part of req) parts.push(part as Buffer);
    const cameAt = now();
    const answer = await door.targets[way]?.request({
      method: req.method === "POST" ? "POST" : "GET",
      path: req.url ?? "/",
      headers: { authorization: req.headers.authorization ?? "", "content-type": "application/json" },
      body: req.method === "POST" ? Buffer.concat(parts) : null,
    });
    if (!answer) return void resp.writeHead(503).end();
    const body = Buffer.from(await answer.body.arrayBuffer());
    if (req.url?.endsWith("/chat/completions")) door.passed.push({ way, cameAt, answeredAt: now() });
    resp.writeHead(answer.statusCode, { "content-type": String(answer.headers["content-type"]) }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  door.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return door;
}
