import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newKey } from "../../organizations/key-format";
import { type Nodes, startNodes } from "../harness/nodes";
import { newThread, ok, type Problem, request, type TestOrganization } from "../harness/organization";
import { ofType, openStream } from "../harness/stream";
import { openSocket } from "../realtime/socket";

/** A stream's heartbeat comes every 15 s: what ends before it is looked after by itself. */
const BEFORE_HEARTBEAT_MS = 12_000;

describe("credentials on two nodes", () => {
  let nodes: Nodes;
  let here: TestOrganization;
  let there: TestOrganization;
  beforeAll(async () => {
    nodes = await startNodes(2);
    here = await nodes.organization();
    there = nodes.at(here, 1);
  });
  afterAll(() => nodes?.stop());

  it("a key that is revoked on one ends its streams and WebSockets on both, soon (SEC-4)", async () => {
    const id = await newThread(here);
    const key = await ok(here.call<{ id: string; api_key: string }>("POST", "/api-keys", { name: "leaked" }));
    const open = await Promise.all(
      [here, there].map(async (org) => {
        const its = { ...org, apiKey: key.api_key };
        const [stream, socket] = [await openStream(its, id), await openSocket(its, id)];
        await stream.until((received) => received.some(({ event }) => event.type === "caught_up"));
        await socket.first("welcome");
        return { stream, socket };
      }),
    );
    await ok(here.call("DELETE", `/api-keys/${key.id}`));
    for (const { stream, socket } of open) {
      const ended = (received: typeof stream.received) =>
        ofType(received, "error").some(({ reason }) => reason === "key_invalid");
      await stream.until(ended, BEFORE_HEARTBEAT_MS);
      await socket.first("bye", ({ reason }) => reason === "key_invalid", BEFORE_HEARTBEAT_MS);
    }
    const status = async (org: TestOrganization) =>
      (await request(org.url, "GET", "/threads", undefined, { authorization: `Bearer ${key.api_key}` })).status;
    await expect.poll(() => Promise.all([here, there].map(status)), { timeout: 10_000 }).toEqual([401, 401]);
  });

  it("trying keys that do not exist is slowed down, and stops nobody whose key was good here (SEC-4)", async () => {
    const guess = () =>
      request<Problem>(there.url, "GET", "/threads", undefined, { authorization: `Bearer ${newKey(there.orgId)}` });
    await ok(there.call("GET", "/threads"));
    const answers: Awaited<ReturnType<typeof guess>>[] = [];
    for (let round = 0; round < 40 && !answers.some(({ status }) => status === 429); round++)
      answers.push(...(await Promise.all(Array.from({ length: 40 }, guess))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401, 429]));
    const slowed = answers.find(({ status }) => status === 429);
    expect(slowed?.body.details).toMatchObject({ reason: "too_many_unknown_keys" });
    await ok(there.call("GET", "/threads"));
    // Nor anybody of another organization while it goes on, whose key was never seen here.
    let isTrying = true;
    const trying = (async () => {
      while (isTrying) await Promise.all(Array.from({ length: 10 }, guess));
    })();
    const met: number[] = [];
    for (let others = 0; others < 10; others++)
      met.push((await nodes.at(await nodes.organization(), 1).call("GET", "/threads")).status);
    isTrying = false;
    await trying;
    expect(new Set(met)).toEqual(new Set([200]));
  });
});
