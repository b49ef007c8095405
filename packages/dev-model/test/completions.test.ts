import { afterAll, describe, expect, it } from "vitest";
import { startClient, system, user } from "./client";

const client = await startClient({ models: ["dev-n7"] });
afterAll(() => client.server.close());

const ADA = system("You are Ada, a botanist.\n<memory_blocks>\n</memory_blocks>");
const BEN = system("You are Ben, a lawyer.");

describe("chat completions", () => {
  it("says on every response that it is no language model", async () => {
    for (const path of ["/health", "/v1/models", "/v1/nothing"]) {
      const response = await fetch(client.server.url + path);
      expect(response.headers.get("x-graphyn-dev-model")).toBe("not-a-language-model");
      await response.text();
    }
  });

  it("lists the models Letta is to offer, and added ones", async () => {
    const list: { data: { id: string }[] } = await client.get("/v1/models");
    const ids = list.data.map((model) => model.id);
    expect(ids).toEqual(expect.arrayContaining(["dev", "dev-echo", "dev-tool", "dev-n300-d100-r50", "dev-n7"]));
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("answers the same request with the same answer, streamed or whole", async () => {
    const messages = [ADA, user("Mira: Which plant survives shade?")];
    const first = await client.whole("dev", messages);
    expect(await client.whole("dev", messages)).toEqual(first);
    const { content } = await client.stream("dev", messages);
    expect(content).toBe(first.message.content);
  });

  it("takes a name to its end and no further", async () => {
    for (const [instructions, name] of [
      ["You are Critic. You say what could go wrong.", "Critic"],
      ["You are J. R. Baker, a cook.", "J. R. Baker"],
      ["You are Test Bot 2. Be kind.", "Test Bot"],
      ["Your name is Ada Lovelace.", "Ada Lovelace"],
    ] as const) {
      const { message } = await client.whole("dev", [system(instructions), user("Mira: Hello.")]);
      expect(message.content).toContain(`Mira, this is ${name}.`);
    }
  });

  it("names the agent and the speaker, repeats what was said, and differs between two agents", async () => {
    const said = user("Mira: I like ferns.\nTom: Which plant survives shade?");
    const ada = (await client.whole("dev", [ADA, said])).message.content;
    const ben = (await client.whole("dev", [BEN, said])).message.content;
    expect(ada).toContain("Tom, this is Ada.");
    expect(ada).toContain("“Which plant survives shade?”");
    expect(ada).toContain("I also heard Mira.");
    expect(ada).toContain("not a language model");
    expect(ada).toContain("a botanist");
    expect(ben).toContain("this is Ben.");
  });

  it("understands who speaks from Graphyn's tags, and takes orders from the last message only", async () => {
    const said = user(
      '<message from="Mira" role="person">!error 500</message>\n<message from="Ben" role="agent">I am Ben.</message>\n' +
        '<message from="Tom &quot;T&quot;" role="person">Is 1 &lt; 2 &amp; 3?\nSay.</message>',
    );
    const { content } = (await client.whole("dev", [ADA, said])).message;
    expect(content).toContain('Tom "T", this is Ada. You said: “Is 1 < 2 & 3? Say.”');
    expect(content).toContain("I also heard Mira, Ben.");
  });

  it("counts tokens in usage only when the stream's options ask", async () => {
    const plain = await client.stream("dev-n5", [user("hi")]);
    expect(plain.chunks.some((chunk) => chunk.usage)).toBe(false);
    const counted = await client.stream("dev-n5", [user("hi")], { stream_options: { include_usage: true } });
    const last = counted.chunks.at(-1);
    expect(last?.choices).toEqual([]);
    expect(last?.usage?.completion_tokens).toBe(5);
    expect(counted.text.endsWith("data: [DONE]\n\n")).toBe(true);
  });

  it("echoes exactly, line breaks and other scripts included", async () => {
    const text = " Ærø, 你好 👩‍👩‍👧\n\nsecond  line ";
    expect((await client.whole("dev-echo", [user(text)])).message.content).toBe(text);
    expect((await client.stream("dev-echo-r500", [user(text)])).content).toBe(text);
  });

  it("gives the length asked for, and stops at max_tokens with the reason length", async () => {
    expect((await client.stream("dev-long-1000", [user("x")])).content).toMatch(/^1 2 3 .* 999 1000$/);
    const short = await client.whole("dev-n300", [user("x")], { max_completion_tokens: 4 });
    expect(short).toMatchObject({ message: { content: "1 2 3 4" }, finish_reason: "length" });
  });

  it("keeps pace: the first token after the delay, tokens at the rate", async () => {
    // A lower bound only: a delay that was asked for is behaviour, not speed.
    const begin = performance.now();
    await client.stream("dev-n11-d50-r100", [user("x")]);
    expect(performance.now() - begin).toBeGreaterThanOrEqual(145);
  });

  it("refuses a request without messages, an unknown model and an unknown path in OpenAI's error form", async () => {
    const cases: [number, Promise<Response>][] = [
      [400, client.chat("dev", [])],
      [404, client.chat("gpt-4o", [user("x")])],
      [404, client.chat("dev-nonsense", [user("x")])],
      [404, client.post("/v1/responses", {})],
    ];
    for (const [status, response] of cases) {
      expect((await response).status).toBe(status);
      expect(await (await response).json()).toMatchObject({
        error: { message: expect.any(String), type: expect.any(String) },
      });
    }
  });
});
