import { afterAll, beforeAll, expect, it } from "vitest";
import { type Nodes, startNodes } from "../harness/nodes";
import { newAgent, newThread, ok, type Problem, type TestOrganization } from "../harness/organization";
import { openStream, turnsEnded } from "../harness/stream";
import { shown } from "../models/behind-gateway";

/** Answers that Letta gives at once, turns of one organization that the process takes on, and messages that it is sent: far more of each. */
const PLACES = 2;
const TURNS_MAX = 30;
const MESSAGES = 48;
const ENDED_MS_MAX = 120_000;

let nodes: Nodes;
beforeAll(async () => {
  nodes = await startNodes(1, { LETTA_STREAMS_MAX: String(PLACES), GRAPHYN_TURNS_OF_ONE_MAX: String(TURNS_MAX) });
});
afterAll(() => nodes?.stop());

interface Said {
  message: { id: string };
}

const say = (org: TestOrganization, threadId: string, content: string) =>
  org.call<Said & Problem>("POST", `/threads/${threadId}/messages`, { content });

async function waiting(org: TestOrganization): Promise<number> {
  const operator = { "x-admin-key": nodes.adminKey };
  return (await ok(org.call<{ pool: { waiting: number } }>("GET", "/letta/health", undefined, operator))).pool.waiting;
}

/** What the model was asked that has a text in it, in order. */
async function asked(text: string): Promise<string[]> {
  const url = `${process.env.DEV_MODEL_URL}/debug/requests?contains=${encodeURIComponent(text)}&limit=1000`;
  const { requests } = (await (await fetch(url)).json()) as { requests: { path: string; body: unknown }[] };
  return requests.filter(({ path }) => path.endsWith("/chat/completions")).map(({ body }) => JSON.stringify(body));
}

it("an organization that floods delays another's message by a slot, is refused what cannot be held, and loses nothing of the rest (LET-2, LET-8)", async () => {
  const [noisy, quiet] = [await nodes.organization(), await nodes.organization()];
  const canary = `canary-${noisy.orgId.slice(-12)}`;
  const busy = await newAgent(noisy, "Busy", "openai-proxy/dev-n20-d300");
  const calm = await newAgent(quiet, "Calm", "openai-proxy/dev-n1");
  const threads = await Promise.all(Array.from({ length: MESSAGES }, () => newThread(noisy, [busy])));
  const still = await newThread(quiet, [calm]);
  const reader = await openStream(quiet, still);

  const answers = await Promise.all(threads.map((id) => say(noisy, id, `${canary} noisy`)));
  expect(await waiting(quiet)).toBeGreaterThan(4 * PLACES);
  await ok(say(quiet, still, `${canary} single`));
  const before = (await asked(`${canary} noisy`)).length;
  const received = await reader.until(turnsEnded(1), ENDED_MS_MAX);
  expect(shown(received)).toBe("1");
  const order = await asked(canary);
  // Those that had a place when it came, and one for each place that was freed while Letta brought it to the model; not all that wait.
  const single = order.findIndex((body) => body.includes(`${canary} single`));
  expect(single).toBeLessThanOrEqual(before + 2 * PLACES);
  expect(await waiting(quiet)).toBeGreaterThan(0);

  const refused = answers.filter(({ status }) => status !== 200);
  expect(refused.length).toBeGreaterThan(0);
  for (const { status, body } of refused) {
    expect([status, body.details]).toMatchObject([
      429,
      { reason: "too_many_waiting", turns_max: TURNS_MAX, retry_after_ms: expect.any(Number), context: {} },
    ]);
  }
  for (const [n, { status }] of answers.entries()) {
    const id = threads[n] ?? "";
    await ended(noisy, id, status === 200 ? ["user", "agent"] : []);
  }
}, 240_000);

/** Resolves when the thread has messages of exactly these kinds, and no turn any more. */
async function ended(org: TestOrganization, threadId: string, kinds: string[]): Promise<void> {
  const deadline = Date.now() + ENDED_MS_MAX;
  for (;;) {
    const { messages, context } = await ok(
      org.call<{
        messages: { sender_type: string; status: string }[];
        context: { running_turns: unknown[] };
      }>("GET", `/threads/${threadId}/messages`),
    );
    if (context.running_turns.length === 0 || Date.now() > deadline) {
      const said = messages.map(({ sender_type }) => sender_type).filter((type) => type !== "system");
      expect(said.toSorted()).toEqual(kinds.toSorted());
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
