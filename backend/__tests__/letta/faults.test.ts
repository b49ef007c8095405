import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Letta, LettaLimits } from "../../lib/letta-client";
import { startTcpProxy, type TcpProxy } from "../harness/tcp-proxy";
import { lettaUrl, listen, newConversation, newLetta, newTenant, type TestTenant, textOf, until } from "./stack";

// A real Letta behind a TCP proxy that breaks what lies between. The conversation is made past the proxy.

const direct = newLetta();
let tenant: TestTenant;
let proxy: TcpProxy;
let letta: Letta;

const SHORT: Partial<LettaLimits> = { breakerOpenMsMin: 200, breakerOpenMsMax: 800, connectMsMax: 500 };

beforeEach(async () => {
  tenant ??= await newTenant(direct);
  proxy = await startTcpProxy(lettaUrl());
});
afterEach(async () => {
  proxy.fault = { kind: "none" };
  await letta.close();
  await proxy.close();
});

function through(limits: Partial<LettaLimits> = {}) {
  letta = newLetta({ ...SHORT, ...limits }, [proxy.url]);
  return letta.as(tenant);
}

async function breaker() {
  return (await letta.health()).servers[0]?.breaker;
}

describe("the breaker", () => {
  it("opens while Letta is down, refuses at once, and closes by itself when it is back (LET-2, LET-3)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant));
    const org = through();
    await proxy.goDown();
    for (let n = 0; n < 5; n++) {
      expect((await listen(org, { conversationId, content: "hi" })).error).toMatchObject({
        kind: "unavailable",
        retryable: true,
      });
    }
    expect(await letta.health()).toMatchObject({ status: "unavailable", servers: [{ breaker: "open" }] });
    expect((await listen(org, { conversationId, content: "hi" })).error).toMatchObject({
      kind: "unavailable",
      code: "breaker_open",
    });

    await proxy.comeBack();
    await until(async () => (await breaker()) !== "open");
    expect((await listen(org, { conversationId, content: "!tokens 2" })).error).toBeNull();
    expect(await letta.health()).toMatchObject({ status: "ok", servers: [{ version: "0.16.8", breaker: "closed" }] });
  });

  it("opens again when the server that answered its probe fails its trial (LET-2)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant));
    const org = through({ firstByteMsMax: 3_000, breakerFailuresMax: 2 });
    await proxy.goDown();
    for (let n = 0; n < 2; n++) await listen(org, { conversationId, content: "hi" });
    await proxy.comeBack();
    await until(async () => (await breaker()) === "half_open");
    proxy.fault = { kind: "black_hole" };
    expect((await listen(org, { conversationId, content: "hi" })).error).toMatchObject({ kind: "timeout" });
    expect((await letta.health()).servers[0]?.breaker).toBe("open");
    proxy.fault = { kind: "none" };
    await until(async () => (await breaker()) === "half_open");
    expect((await listen(org, { conversationId, content: "!tokens 2" })).error).toBeNull();
    expect(await breaker()).toBe("closed");
  });

  it("of one server leaves the other to answer (LET-2)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant));
    letta = newLetta(SHORT, [proxy.url, lettaUrl()]);
    await proxy.goDown();
    const org = letta.as(tenant);
    for (let n = 0; n < 8; n++) {
      const { events, error } = await listen(org, { conversationId, content: "!tokens 2" });
      expect(error).toBeNull();
      expect(textOf(events)).toBe("1 2");
    }
    expect((await letta.health()).status).toBe("ok");
  });
});

describe("a stream", () => {
  it("that is cut in mid-answer keeps what was said and is `cut`; the run behind it is stopped (LET-2, LET-7)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant), "dev-n600-r20");
    const org = through();
    proxy.fault = { kind: "cut", afterBytes: 3_000 };
    const { events, error } = await listen(org, { conversationId, content: "count" });
    proxy.fault = { kind: "none" };
    expect(textOf(events)).toMatch(/^1 2 3/);
    expect(error).toMatchObject({ kind: "cut", retryable: true, blame: "server" });
    await until(async () => (await direct.as(tenant).conversations.runs(conversationId))[0]?.status === "cancelled");
  });

  it("of garbage is `bad_response` and ends (LET-2)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant), "dev-n100");
    const org = through();
    proxy.fault = { kind: "garble", afterBytes: 2_000 };
    const { error } = await listen(org, { conversationId, content: "count" });
    expect(["bad_response", "cut"]).toContain((error as { kind: string }).kind);
    expect(error).toMatchObject({ retryable: true });
  });

  it("that never begins ends at its first-byte deadline (LET-2)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant));
    const org = through({ firstByteMsMax: 300 });
    proxy.fault = { kind: "black_hole" };
    expect((await listen(org, { conversationId, content: "hi" })).error).toMatchObject({
      kind: "timeout",
      retryable: true,
      blame: "server",
    });
  });

  it("of which only the run is known ends at its first-event deadline, and its run is stopped (LET-2, LET-7)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant), "dev-hang");
    const org = through({ firstEventMsMax: 500 });
    const { events, error } = await listen(org, { conversationId, content: "hang" });
    expect(events).toEqual([expect.objectContaining({ type: "run" })]);
    expect(error).toMatchObject({ kind: "model_timeout", retryable: true, blame: "model" });
    await until(async () => (await direct.as(tenant).conversations.runs(conversationId))[0]?.status === "cancelled");
    expect(await breaker()).toBe("closed");
  });

  it("that falls silent ends at its idle deadline, and a slow one does not (LET-2)", async () => {
    const slow = await newConversation(direct.as(tenant), "dev-rate-10");
    const org = through({ idleMsMax: 2_000 });
    expect((await listen(org, { conversationId: slow.conversationId, content: "!tokens 30" })).error).toBeNull();
    const { conversationId } = await newConversation(direct.as(tenant), "dev-n600-r20");
    const listening = async () => {
      for await (const event of org.streamMessage({ conversationId, content: "count" })) {
        if (event.type === "text") proxy.fault = { kind: "swallow" };
      }
    };
    await expect(listening()).rejects.toMatchObject({ kind: "model_timeout", code: "idle" });
  });

  it("has an end, however busy it is (LET-2)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant), "dev-n600-r20");
    const { error } = await listen(through({ totalMsMax: 800 }), { conversationId, content: "count" });
    expect(error).toMatchObject({ kind: "model_timeout", code: "total" });
  });

  it("that is late is not lost (LET-2)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant));
    const org = through();
    proxy.fault = { kind: "delay", ms: 300 };
    const { events, error } = await listen(org, { conversationId, content: "!tokens 3" });
    expect(error).toBeNull();
    expect(textOf(events)).toBe("1 2 3");
  });
});

describe("a stop", () => {
  it("before the run is known is told at once, and ends the run as soon as it is (LET-2, SSE-6)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant), "dev-n600-r20");
    const org = through();
    proxy.fault = { kind: "delay", ms: 700 };
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 200);
    const { events, error } = await listen(org, { conversationId, content: "count", signal: stop.signal });
    expect(events).toEqual([]);
    expect(error).toMatchObject({ kind: "cancelled" });
    const next = listen(org, { conversationId, content: "!tokens 2" }); // waits for the stop
    proxy.fault = { kind: "none" };
    expect(textOf((await next).events)).toBe("1 2");
    const runs = await direct.as(tenant).conversations.runs(conversationId);
    expect(runs.map((run) => run.status).sort()).toEqual(["cancelled", "completed"]);
    expect((await letta.health()).pool.streams).toBe(0);
  });
});

describe("a kept connection", () => {
  it("that Letta closes at this moment is replaced unseen, and the message is sent once (LET-2)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant));
    const org = through();
    proxy.fault = { kind: "stale" };
    for (let n = 0; n < 3; n++) {
      expect((await listen(org, { conversationId, content: `!say ${n}` })).error).toBeNull();
      await org.conversations.messages(conversationId); // a short call needs the same
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await letta.health()).servers[0]?.stale_retries).toBeGreaterThan(0);
    const messages = await direct.as(tenant).conversations.messages(conversationId, { order: "asc" });
    const said = messages.filter((message) => message.kind === "user_message").map((message) => message.text);
    expect(said).toEqual(["!say 0", "!say 1", "!say 2"]);
  });

  it("that answers garbage or half a head is not taken for a closed one: the message is not sent twice (LET-2)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant));
    const org = through();
    expect((await listen(org, { conversationId, content: "!tokens 2" })).error).toBeNull();
    for (const fault of [{ kind: "cut", afterBytes: 20 } as const, { kind: "garble", afterBytes: 0 } as const]) {
      proxy.fault = fault;
      expect((await listen(org, { conversationId, content: "once" })).error).toMatchObject({ retryable: true });
      proxy.fault = { kind: "none" };
      await org.cancel(conversationId);
    }
    expect((await letta.health()).servers[0]?.stale_retries).toBe(0);
    expect(await direct.as(tenant).conversations.runs(conversationId)).toHaveLength(3);
  });

  it("serves the next message too (LET-2)", async () => {
    const { conversationId } = await newConversation(direct.as(tenant));
    const org = through();
    for (let n = 0; n < 5; n++) expect((await listen(org, { conversationId, content: "!tokens 2" })).error).toBeNull();
    expect(proxy.accepted).toBeLessThanOrEqual(2); // the end of an answer's HTTP body may come after the next question
  });
});
