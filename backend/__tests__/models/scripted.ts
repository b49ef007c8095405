/** A provider that answers as a test has written it, step by step, where the dev model's answers do not go far enough. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Step {
  /** Pieces of text, each a token. */
  text?: string[];
  call?: { name: string; arguments: string };
  /** How the answer ends: by a finish reason, a broken connection, silence until the reader goes, an error in its midst, or a status. */
  end: "stop" | "tool_calls" | "length" | "content_filter" | "cut" | "hold" | "error" | number;
}

export interface Asked {
  messages: { role: string; content: unknown }[];
  /** Tokens that left for the reader. */
  sent: number;
  gone: boolean;
}

export interface ScriptedProvider {
  url: string;
  /** Answers to come, in order. Who asks beyond them is refused. */
  script: Step[];
  asked: Asked[];
  close(): Promise<void>;
}

/** The one model it lists, which Letta knows: the dev model has it too. */
export const MODEL = "dev";

export async function startScripted(): Promise<ScriptedProvider> {
  const provider = { script: [] as Step[], asked: [] as Asked[] };
  const server = createServer(async (req, resp) => {
    let text = "";
    for await (const part of req) text += part;
    if (req.url === "/models") {
      resp.setHeader("content-type", "application/json");
      resp.end(JSON.stringify({ object: "list", data: [{ id: MODEL, object: "model" }] }));
      return;
    }
    const asked: Asked = { messages: JSON.parse(text).messages, sent: 0, gone: false };
    provider.asked.push(asked);
    resp.once("close", () => {
      asked.gone = !resp.writableFinished;
    });
    answer(provider.script.shift() ?? { end: 400 }, asked, resp);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    ...provider,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer({ text = [], call, end }: Step, asked: Asked, resp: ServerResponse): void {
  if (typeof end === "number") {
    resp.writeHead(end, { "content-type": "application/json" });
    resp.end(JSON.stringify({ error: { message: "as the test wrote it", type: "test", code: null } }));
    return;
  }
  resp.writeHead(200, { "content-type": "text/event-stream" });
  const send = (data: unknown) => resp.write(`data: ${JSON.stringify(data)}\n\n`);
  const delta = (fields: object, finish_reason: string | null = null) =>
    send({ choices: [{ index: 0, delta: fields, finish_reason }] });
  for (const content of text) {
    delta({ content });
    asked.sent++;
  }
  if (call) {
    const { name, arguments: args } = call;
    delta({
      tool_calls: [{ index: 0, id: `call_${asked.messages.length}_${args.length}`, function: { name, arguments: "" } }],
    });
    const whole = end === "tool_calls" || end === "stop";
    delta({ tool_calls: [{ index: 0, function: { arguments: whole ? args : args.slice(0, args.length / 2) } }] });
  }
  if (end === "hold") return;
  if (end === "error") send({ error: { message: "Overloaded", type: "overloaded_error" } });
  else if (end !== "cut") {
    delta({}, end);
    resp.write("data: [DONE]\n\n");
  }
  if (end === "cut") setTimeout(() => resp.destroy(), CUT_AFTER_MS);
  else resp.end();
}

/** So that what was written leaves before the connection does. */
const CUT_AFTER_MS = 50;
