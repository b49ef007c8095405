import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, expect, it } from "vitest";
import { call, connect, postAndStream } from "./http";
import { isLettaText } from "./letta";
import { startTap } from "./tap";

// Answers as Letta does, after a delay, so that the tap's clock can be compared with the client's.
const letta = createServer((req, res) => {
  req.resume();
  req.on("end", () => {
    if (!req.url?.endsWith("/messages")) return res.end('{"ok":true}');
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write('data: {"message_type":"ping"}\n\n');
    setTimeout(() => res.end('data: {"message_type":"assistant_message","content":"Hi"}\n\ndata: [DONE]\n\n'), 40);
  });
});
await new Promise<void>((resolve) => letta.listen(0, "127.0.0.1", resolve));
const tap = await startTap((letta.address() as AddressInfo).port);
const api = connect(tap.url);
afterAll(async () => {
  await api.pool.destroy();
  await tap.close();
  letta.close();
});

it("passes requests through and notes each conversation's passage within the client's own times", async () => {
  expect(await call(api, "GET", "/v1/health/")).toEqual({ ok: true });
  for (const conversation of ["conv-1", "conv-2"]) {
    const begin = performance.now();
    const sample = await postAndStream(api, `/v1/conversations/${conversation}/messages`, {}, isLettaText);
    const passage = tap.take(conversation);
    expect(passage?.requested).toBeGreaterThanOrEqual(begin);
    expect(passage?.firstText).toBeLessThanOrEqual(begin + sample.first_text_ms + 1);
    expect((passage?.firstText ?? 0) - (passage?.requested ?? 0)).toBeGreaterThan(30);
    expect(tap.take(conversation)).toBeUndefined();
  }
});
