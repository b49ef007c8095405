import { afterAll, describe, expect, it } from "vitest";
import { startClient, user } from "./client";

const client = await startClient({ record: true });
afterAll(() => client.server.close());

describe("faults by model id", () => {
  it("answers the status it is asked for", async () => {
    for (const status of [400, 401, 429, 500, 503]) {
      const response = await client.chat(`dev-error-${status}`, [user("x")]);
      expect(response.status).toBe(status);
      await response.text();
    }
  });

  it("cuts the connection after exactly n tokens", async () => {
    for (const n of [0, 3]) {
      const response = await client.chat(`dev-cut-${n}`, [user("one two three four five six")], { stream: true });
      let text = "";
      const reading = async () => {
        for await (const part of response.body ?? []) text += Buffer.from(part).toString();
      };
      await expect(reading()).rejects.toThrow();
      expect(text.match(/"content":"[^"]+"/g) ?? []).toHaveLength(n);
      expect(text).not.toContain("[DONE]");
    }
    await expect((await client.chat("dev-cut-3", [user("x")])).text()).rejects.toThrow();
  });

  it("says exactly n tokens and holds, until its reader goes", async () => {
    const controller = new AbortController();
    const body = { model: "dev", messages: [user("holds\n!tokens 9\n!hold 4")], stream: true };
    const response = await client.post("/v1/chat/completions", body, controller.signal);
    let text = "";
    const reading = async () => {
      for await (const part of response.body ?? []) {
        text += Buffer.from(part).toString();
        if (text.includes('"content":" 4"')) controller.abort();
      }
    };
    await expect(reading()).rejects.toThrow();
    expect(text.match(/"content":"[^"]+"/g) ?? []).toHaveLength(4);
    await expect
      .poll(async () => ((await client.get("/debug/requests?contains=holds")) as { requests: object[] }).requests)
      .toMatchObject([{ tokens_sent: 4, client_gone: true, finish_reason: null }]);
  });

  it("refuses a prompt beyond its window, in OpenAI's words", async () => {
    const response = await client.chat("dev-w20", [user("x".repeat(200))]);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: "context_length_exceeded" } });
    expect((await client.chat("dev-w20", [user("short")])).status).toBe(200);
  });

  it("sends invalid JSON, in the stream and whole", async () => {
    const text = await (await client.chat("dev-garbage", [user("x")], { stream: true })).text();
    const events = text.split("\n\n").filter((event) => event.startsWith("data: {"));
    expect(() => events.map((event) => JSON.parse(event.slice(6)) as unknown)).toThrow();
    await expect((await client.chat("dev-garbage", [user("x")])).json()).rejects.toThrow();
  });

  it("answers nothing, and is filtered", async () => {
    expect((await client.stream("dev-empty", [user("x")])).content).toBe("");
    expect((await client.whole("dev-empty", [user("x")])).message.content).toBeNull();
    const filtered = await client.stream("dev-filter", [user("x")]);
    expect(filtered.chunks.at(-1)?.choices[0]?.finish_reason).toBe("content_filter");
  });

  it("hangs until the client goes, and notes that it went", async () => {
    const hang = client.post(
      "/v1/chat/completions",
      { model: "dev-hang", messages: [user("x")], user: "hang" },
      AbortSignal.timeout(60),
    );
    await expect(hang).rejects.toThrow();
    await expect
      .poll(async () => client.get("/debug/requests?user=hang"))
      .toMatchObject({ requests: [{ client_gone: true }] });
  });
});

describe("intents in the last message", () => {
  it("steer pace and fault, with a speaker's name before them too", async () => {
    expect((await client.whole("dev", [user("!tokens 3")])).message.content).toBe("1 2 3");
    expect((await client.whole("dev", [user("Mira: !say Good morning.")])).message.content).toBe("Good morning.");
    expect((await client.chat("dev", [user("Mira: hello\nTom: !error 429")])).status).toBe(429);
  });

  it("of earlier messages are spent", async () => {
    const messages = [user("!error 500"), { role: "assistant", content: "…" }, user("again")];
    expect((await client.chat("dev", messages)).status).toBe(200);
  });

  it("that are none are plain text", async () => {
    expect((await client.whole("dev", [user("!important: read this")])).message.content).toContain("!important");
  });
});
