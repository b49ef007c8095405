import { afterAll, beforeAll, expect, it } from "vitest";
import { newThread, ok, type TestOrganization } from "../harness/organization";
import { startLettaBeside } from "../harness/own-letta";
import { freePort, type Server } from "../harness/server";
import { ofType, turnsEnded } from "../harness/stream";
import { until } from "../letta/stack";
import {
  type BehindGateway,
  behindGateway,
  START_MS_MAX,
  shown,
  startBeside,
  stored,
  testThread,
} from "./behind-gateway";

// Two real Letta servers on one database, behind one Graphyn; the second is killed and comes back.

const AT_ONCE = 4;
const ENDED_MS_MAX = 120_000;

let behind: BehindGateway;
let node: Server;
let org: TestOrganization;
let port: number;
let second: Awaited<ReturnType<typeof startLettaBeside>>;

const startSecond = () => {
  const { letta, url, gatewayKey } = behind.stack;
  return startLettaBeside(letta, port, `${url}/internal/models/v1`, gatewayKey);
};

beforeAll(async () => {
  behind = await behindGateway();
  port = await freePort();
  second = await startSecond();
  node = await startBeside(behind.stack, { LETTA_API_URL: `${behind.stack.letta.url},${second.url}` });
  org = behind.at(node.url);
}, START_MS_MAX);
afterAll(async () => {
  await node?.stop();
  await second?.kill();
});

interface Health {
  server: { servers: { in_flight: number; breaker: string }[] };
}
const servers = async () => {
  const operator = { "x-admin-key": behind.stack.config.adminKey };
  return (await ok(org.call<Health>("GET", "/letta/health", undefined, operator))).server.servers;
};
const inFlight = async () => (await servers()).map(({ in_flight }) => in_flight);

async function talks(model: string) {
  const { agent_id } = await behind.agent(model);
  const ids = await Promise.all(Array.from({ length: AT_ONCE }, () => newThread(org, [agent_id])));
  return Promise.all(ids.map((id) => testThread(org, id)));
}

it("one killed in mid-answer costs its own spoken turns only; silent ones begin again elsewhere, and it is taken back (LET-2, LET-7, LET-8)", async () => {
  const [speaking, silent] = [await talks("dev-n200-r20"), await talks("dev-slow-5000")];
  for (const { say } of speaking) await say("talk for long");
  await Promise.all(
    speaking.map(({ stream }) => stream.until((got) => ofType(got, "ai_chunk").length > 2, ENDED_MS_MAX)),
  );
  const [, spoken = 0] = await inFlight();
  expect(spoken).toBeGreaterThan(0); // answers go to both
  for (const { say } of silent) await say("think first");
  await until(async () => ((await inFlight())[1] ?? 0) > spoken);
  await second.kill();

  const heard = await Promise.all(speaking.map(({ stream }) => stream.until(turnsEnded(1), ENDED_MS_MAX)));
  const failed = heard.filter((received) => ofType(received, "agent_error").length === 1);
  expect(failed).toHaveLength(spoken);
  for (const received of failed) {
    expect(ofType(received, "agent_error")).toEqual([expect.objectContaining({ retryable: true })]);
    expect(stored(received)).toMatch(/^1 2 3/);
    expect(stored(received)).toBe(shown(received));
  }
  for (const received of await Promise.all(silent.map(({ stream }) => stream.until(turnsEnded(1), ENDED_MS_MAX)))) {
    expect(ofType(received, "agent_error")).toEqual([]);
    expect(stored(received)).toContain("think first");
    expect(stored(received)).toBe(shown(received));
  }

  // What is said now goes to the other, also in threads whose last answer broke off; in time nothing is tried here any more.
  for (let round = 0; (await servers())[1]?.breaker === "closed" && round < 5; round++) {
    const heard = await Promise.all(speaking.map(({ ask }) => ask("!say still here")));
    expect(heard.map(stored)).toEqual(speaking.map(() => "still here"));
  }
  expect((await servers())[1]?.breaker).toBe("open");
  const again = await Promise.all(speaking.map(({ ask }) => ask("!say again")));
  expect(again.map(stored)).toEqual(speaking.map(() => "again"));

  second = await startSecond();
  await until(async () => (await servers())[1]?.breaker !== "open", ENDED_MS_MAX);
  for (const { say } of silent) await say("think again");
  await until(async () => (await inFlight()).every((count) => count > 0));
  const thought = await Promise.all(silent.map(({ stream }) => stream.until(turnsEnded(2), ENDED_MS_MAX)));
  for (const received of thought) expect(ofType(received, "agent_error")).toEqual([]);
  await until(async () => (await servers())[1]?.breaker === "closed", ENDED_MS_MAX);
}, 400_000);
