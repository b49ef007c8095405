import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ok } from "../harness/organization";
import type { Server } from "../harness/server";
import { ofType, turnsEnded } from "../harness/stream";
import { type BehindGateway, behindGateway, START_MS_MAX, startBeside, testThread } from "./behind-gateway";
import { newProvider } from "./gateway";
import { startOtlpReceiver } from "./otlp-receiver";

const [SERVER, INTERNAL, CLIENT] = [2, 1, 3];
const SAID = "a canary of what people say";
const ANSWER = "a canary of what models say";

let behind: BehindGateway;
let receiver: Awaited<ReturnType<typeof startOtlpReceiver>>;
let provider: Awaited<ReturnType<typeof newProvider>>;
let server: Server;

beforeAll(async () => {
  behind = await behindGateway();
  receiver = await startOtlpReceiver();
  provider = await newProvider((_req, resp) => {
    resp.writeHead(200, { "content-type": "application/json" });
    const usage = { prompt_tokens: 70, completion_tokens: 7, total_tokens: 77 };
    resp.end(JSON.stringify({ choices: [{ message: { content: ANSWER }, finish_reason: "stop" }], usage }));
  });
  // Letta asks the stack's own Graphyn, which hands the request over to this one.
  server = await startBeside(behind.stack, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BSP_SCHEDULE_DELAY: "100",
    MODEL_UPSTREAMS: JSON.stringify([{ name: "theirs", base_url: provider.url, models: ["dev"] }]),
  });
}, START_MS_MAX);
afterAll(async () => {
  await server?.stop();
  await provider?.close();
  await receiver?.close();
});

describe("traces (OBS-1)", () => {
  it("follow one message from the caller's trace to Letta and the model's upstream, and hold nothing that was said", async () => {
    const { agent_id } = await behind.agent("dev");
    const { threadId } = await behind.threadOf([agent_id]);
    const { stream } = await testThread(behind.at(server.url), threadId);
    const traceId = randomBytes(16).toString("hex");
    const callerSpan = randomBytes(8).toString("hex");
    const post = (content: string) =>
      ok(
        behind.at(server.url).call(
          "POST",
          `/threads/${threadId}/messages`,
          { content },
          {
            traceparent: `00-${traceId}-${callerSpan}-01`,
          },
        ),
      );
    await post(SAID);
    const received = await stream.until(turnsEnded(1), START_MS_MAX);
    expect(ofType(received, "turn_completed")).toHaveLength(1);
    const mine = () => receiver.spans.filter((span) => span.traceId === traceId);
    await expect.poll(() => mine().length, { timeout: 10_000 }).toBe(4);

    const named = (name: string) => mine().find((span) => span.name === name);
    const message = named("POST /threads/:id/messages");
    const turn = named("invoke_agent");
    const letta = named("POST letta conversation messages");
    const chat = named("chat dev");
    expect(message).toMatchObject({ kind: SERVER, parentSpanId: callerSpan });
    expect(turn).toMatchObject({ kind: INTERNAL, parentSpanId: message?.spanId });
    expect(letta).toMatchObject({ kind: CLIENT, parentSpanId: turn?.spanId });
    expect(chat).toMatchObject({ kind: CLIENT, parentSpanId: letta?.spanId });
    expect(turn?.attributes).toMatchObject({
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.agent.id": agent_id,
      "gen_ai.conversation.id": threadId,
      "graphyn.turn.outcome": "completed",
    });
    expect(chat?.attributes).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "theirs",
      "gen_ai.request.model": "dev",
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.usage.input_tokens": 70,
      "gen_ai.usage.output_tokens": 7,
      "graphyn.asked_ahead": false,
    });
    const asked = provider.seen.filter(({ url }) => url?.endsWith("/chat/completions"));
    expect(asked.map(({ headers }) => headers.traceparent)).toEqual([`00-${traceId}-${chat?.spanId}-01`]);

    await post(`${SAID} again`); // known by now, and asked ahead
    await stream.until(turnsEnded(2), START_MS_MAX);
    await expect.poll(() => mine().filter(({ name }) => name === "chat dev").length, { timeout: 10_000 }).toBe(2);
    expect(
      mine()
        .filter(({ name }) => name === "chat dev")
        .at(-1)?.attributes["graphyn.asked_ahead"],
    ).toBe(true);
    expect(receiver.text()).not.toContain("canary");
    expect(receiver.text()).not.toContain("Ada");
    await stream.close();
  });

  it("are off without an address to send them to: nothing is sent, and upstreams get no header", async () => {
    const { ask } = await behind.thread("dev");
    const before = receiver.spans.length;
    await ask("!say nothing is traced");
    expect(receiver.spans.length).toBe(before);
    expect(behind.stack.config.env?.OTEL_EXPORTER_OTLP_ENDPOINT).toBeUndefined();
  });
});
