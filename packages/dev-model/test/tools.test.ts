import { afterAll, describe, expect, it } from "vitest";
import { startClient, system, user } from "./client";

const client = await startClient();
afterAll(() => client.server.close());

const tool = (name: string, properties: object, required: string[]) => ({
  type: "function",
  function: { name, description: "", parameters: { type: "object", properties, required } },
});
const TOOLS = [
  tool(
    "conversation_search",
    { query: { type: "string" }, limit: { anyOf: [{ type: "integer" }, { type: "null" }] } },
    ["limit"],
  ),
  tool(
    "memory_insert",
    { label: { type: "string" }, new_string: { type: "string" }, insert_line: { type: "integer" } },
    ["label", "new_string", "insert_line"],
  ),
];
const SYSTEM = system(
  "You are Ada.\n<memory_blocks>\n<persona>\n<value>\n</value>\n</persona>\n\n<human>\n</human>\n</memory_blocks>",
);

interface Call {
  id: string;
  function: { name: string; arguments: string };
}

describe("tools", () => {
  it("dev-tool remembers and searches with arguments that fit the schema", async () => {
    const remember = await client.whole("dev-tool", [SYSTEM, user("Please remember that Mira is allergic to nuts.")], {
      tools: TOOLS,
    });
    const [insert] = remember.message.tool_calls as unknown as Call[];
    expect(remember.finish_reason).toBe("tool_calls");
    expect(insert?.function.name).toBe("memory_insert");
    expect(JSON.parse(insert?.function.arguments ?? "")).toEqual({
      label: "human",
      new_string: "Please remember that Mira is allergic to nuts.",
      insert_line: -1,
    });
    const search = await client.whole("dev-tool", [SYSTEM, user("Search what we said about nuts")], { tools: TOOLS });
    const [found] = search.message.tool_calls as unknown as Call[];
    expect(JSON.parse(found?.function.arguments ?? "")).toEqual({
      query: "Search what we said about nuts",
      limit: null,
    });
  });

  it("answers with the result, once the tool has run", async () => {
    const { message } = await client.whole(
      "dev-tool",
      [
        SYSTEM,
        user("Search for nuts"),
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "c1", type: "function", function: { name: "conversation_search", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "c1", content: "2 results" },
      ],
      { tools: TOOLS },
    );
    expect(message.content).toBe("I called conversation_search. It returned: 2 results");
  });

  it("calls what an intent names, streamed in pieces that join to the arguments as written", async () => {
    const args = '{"query": "käse & nuts", "limit": 3}';
    const { chunks } = await client.stream("dev", [user(`!tool conversation_search ${args}`)], { tools: TOOLS });
    const pieces = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    expect(pieces.map((piece) => piece.function.arguments).join("")).toBe(args);
    expect(pieces.filter((piece) => piece.id)).toHaveLength(1);
    expect(pieces[0]?.function.name).toBe("conversation_search");
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("tool_calls");
  });

  it("makes several calls when parallel calls are allowed, else one", async () => {
    const asked = user('!tool memory_insert {}\n!tool conversation_search {"query":"x"}');
    const both = await client.whole("dev", [asked], { tools: TOOLS });
    const one = await client.whole("dev", [asked], { tools: TOOLS, parallel_tool_calls: false });
    expect(both.message.tool_calls).toHaveLength(2);
    expect(one.message.tool_calls).toHaveLength(1);
  });

  it("says so when the tool was not offered, and obeys tool_choice", async () => {
    expect((await client.whole("dev", [user("!tool nope {}")], { tools: TOOLS })).message.content).toContain(
      "No tool named nope",
    );
    const forced = await client.whole("dev", [user("hello")], { tools: TOOLS, tool_choice: "required" });
    expect(forced.finish_reason).toBe("tool_calls");
    expect((await client.whole("dev", [user("hello")], { tools: TOOLS })).finish_reason).toBe("stop");
  });
});
