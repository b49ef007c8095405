import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { hashKey, newKey } from "../../organizations/key-format";
import { adminQuery } from "../harness/database";
import {
  type Context,
  newAgent,
  newOrganization,
  newPerson,
  newThread,
  ok,
  type Problem,
  request,
  type TestOrganization,
} from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { ofType, openStream, turnsEnded } from "../harness/stream";
import { sendOnce } from "./send-once";

const graphyn = inject("graphyn");

let org: TestOrganization;
/** A second process on the same database. */
let beside: Server;
beforeAll(async () => {
  beside = await startServer({ databaseUrl: graphyn.databaseUrl, adminKey: graphyn.adminKey });
  org = await newOrganization({ ...graphyn, url: beside.url });
});
afterAll(() => beside?.stop());

describe("an idempotency key", () => {
  it("starts one turn for two identical messages at the same instant, in two processes, and re-attaches (THR-6)", async () => {
    const talker = await newAgent(org, "Talker", "openai-proxy/dev-n40-r20");
    const id = await newThread(org, [talker]);
    const write = { path: `/threads/${id}/messages`, body: { content: "once" } };
    const key = randomUUID();
    interface Said {
      message: { id: string; seq: number };
      turns: { id: string; state: string }[];
      context: Context;
    }
    const say = async (url: string) => (await sendOnce(org, "POST", write, key, url)).body as Said;
    const [one, two] = await Promise.all([say(beside.url), say(graphyn.url)]);
    expect(one.turns.map((turn) => turn.id)).toEqual(two.turns.map((turn) => turn.id));
    const [turn] = one.turns;

    const running = await say(graphyn.url);
    expect(running.context.running_turns).toMatchObject([{ id: turn?.id }]);
    // Whoever lost the first answer follows from here, and misses nothing of what was said to it.
    const stream = await openStream(org, id, running.context.cursor);
    const received = await stream.until(turnsEnded(1));
    await stream.close();
    expect(ofType(received, "turn_started").map(({ turn_id }) => turn_id)).toEqual([turn?.id]);
    const said = ofType(received, "message").find(({ message }) => message.turn_id === turn?.id);

    const ended = await say(beside.url);
    expect(ended.turns).toMatchObject([{ id: turn?.id, state: "completed" }]);
    expect(ended.context).toMatchObject({ running_turns: [], cursor: one.context.cursor });
    expect(ended.context.last_seq).toBeGreaterThan(said?.message.seq ?? 0);
    const late = await openStream(org, id, ended.context.cursor);
    expect(ofType(await late.until(turnsEnded(1)), "message").map(({ message }) => message.id)).toContain(
      said?.message.id,
    );
    await late.close();
    const { messages } = await ok(
      org.call<{ messages: { content: string }[] }>("GET", `/threads/${id}/messages?limit=100`),
    );
    expect(messages.filter(({ content }) => content === "once")).toHaveLength(1);
  });

  it("makes one agent in Letta for requests at the same instant, and another when the first one failed (THR-6, AGT-2)", async () => {
    const name = `Once ${randomUUID()}`;
    const body = { name, system_prompt: "You are Once." };
    const key = randomUUID();
    const made = await Promise.all(
      [beside.url, graphyn.url, beside.url].map((url) => sendOnce(org, "POST", { path: "/agents", body }, key, url)),
    );
    const ids = made.map((one) => (one.body as { letta_id: string }).letta_id);
    expect(new Set(ids).size).toBe(1);
    const rows = await adminQuery<{ n: number }>(
      graphyn.adminUrl,
      "select count(*)::int as n from agent_versions where org_id = $1 and name = $2",
      [org.orgId, name],
    );
    expect(rows).toEqual([{ n: 1 }]);

    // As if the first request's process had failed to make it, and it was taken back.
    await adminQuery(
      graphyn.adminUrl,
      `with gone as (update agents set current_version_id = null where org_id = $1 and name = $2)
       update agent_versions set state = 'failed', letta_id = null where org_id = $1 and name = $2`,
      [org.orgId, name],
    );
    const again = await sendOnce(org, "POST", { path: "/agents", body }, key);
    expect(again).toMatchObject({ status: 200, replayed: null, body: { name } });
    expect((again.body as { letta_id: string }).letta_id).not.toBe(ids[0]);
    expect((await sendOnce(org, "POST", { path: "/agents", body }, key)).body).toEqual(again.body);
  });

  it("belongs to its caller and organization: the same from others is another request (THR-6, SEC-1)", async () => {
    const key = "the-same-for-all";
    const person = await newPerson(org, "Ana");
    const personal = newKey(org.orgId);
    await adminQuery(
      graphyn.adminUrl,
      `insert into api_keys (org_id, id, user_id, name, hash, last_four, expires_at)
       values ($1, 'key_of_ana', $2, 'hers', $3, '0000', now() + interval '1 day')`,
      [org.orgId, person, hashKey(personal, "test-hash-key")],
    );
    const make = (title: string, apiKey: string) =>
      ok(
        request<{ thread: { id: string; title: string } }>(
          graphyn.url,
          "POST",
          "/threads",
          { title },
          { authorization: `Bearer ${apiKey}`, "idempotency-key": key },
        ),
      );
    const other = await newOrganization();
    const titles = [];
    for (const [title, apiKey] of [
      ["mine", org.apiKey],
      ["hers", personal],
      ["theirs", other.apiKey],
    ] as const)
      titles.push((await make(title, apiKey)).thread.title);
    expect(titles).toEqual(["mine", "hers", "theirs"]);
  });

  it("does not hold what failed: the request can be repeated with its key (THR-6)", async () => {
    const key = randomUUID();
    const id = await newThread(org);
    const write = { path: `/threads/${id}/messages`, body: { content: "late" } };
    await ok(org.call("DELETE", `/threads/${id}`));
    expect((await sendOnce(org, "POST", write, key)).status).toBe(400);
    await ok(org.call("PATCH", `/threads/${id}`, { state: "active" }));
    expect(await sendOnce(org, "POST", write, key)).toMatchObject({ status: 200, replayed: null });
  });

  it("keeps no secret in the clear: the answer with an API key in it is sealed (THR-6, SEC-1)", async () => {
    const made = await sendOnce(org, "POST", { path: "/api-keys", body: { name: "sealed" } }, `sealed-${org.orgId}`);
    const { api_key } = made.body as { api_key: string };
    const [row] = await adminQuery<{ response: object }>(
      graphyn.adminUrl,
      "select response from idempotency_keys where org_id = $1 and key = $2",
      [org.orgId, `sealed-${org.orgId}`],
    );
    expect(row?.response).toEqual({ sealed: expect.any(String) });
    expect(JSON.stringify(row)).not.toContain(api_key.slice(-40));
  });

  it("goes with its thread: what was erased is neither shown again nor made again (THR-6, THR-1)", async () => {
    const key = randomUUID();
    const create = { path: "/threads", body: { title: "Secret plans" } };
    const { thread } = (await sendOnce(org, "POST", create, key)).body as { thread: { id: string } };
    await ok(org.call("DELETE", `/threads/${thread.id}?purge=true`));
    const again = await sendOnce(org, "POST", create, key);
    expect([again.status, (again.body as Problem).details.reason]).toEqual([404, "thread_not_found"]);
    const rows = await adminQuery<{ key: string }>(
      graphyn.adminUrl,
      "select key from idempotency_keys where org_id = $1 and response::text like '%Secret plans%'",
      [org.orgId],
    );
    expect(rows).toEqual([]);
  });

  it("makes one organization, also a day later (THR-6)", async () => {
    const headers = { "x-admin-key": graphyn.adminKey };
    const write = { path: "/organizations", body: { name: "Once", owner_name: "Ada" }, headers };
    const key = randomUUID();
    const { organization_id } = (await sendOnce(org, "POST", write, key)).body as { organization_id: string };
    await adminQuery(
      graphyn.adminUrl,
      "update idempotency_keys set created_at = now() - interval '25 hours' where org_id = $1",
      [organization_id],
    );
    const late = await sendOnce(org, "POST", write, key);
    expect([late.status, (late.body as Problem).details.reason]).toEqual([409, "idempotency_key_reused"]);
  });
});
