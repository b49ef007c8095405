/** Chooses a tool for what a person asked, and makes arguments that fit the tool's JSON schema. */
import type { WantedCall } from "./intents";
import { asString, type ChatRequest, isObject, type JsonObject, type OfferedTool } from "./request";

/** What people say, and the tools (Letta's first) that do it. */
const PURPOSES: readonly (readonly [RegExp, readonly string[]])[] = [
  [
    /\b(remember|memori[sz]e|note that|keep in mind)\b/i,
    ["memory_insert", "core_memory_append", "archival_memory_insert"],
  ],
  [/\b(search|find|look up|recall|earlier|before)\b/i, ["conversation_search", "archival_memory_search"]],
];

/** Names of parameters that stand for "what the person said". */
const TEXT_PARAMETERS = new Set(["query", "content", "new_string", "new_str", "text", "message", "value", "q"]);

/** The call to make, or null when no offered tool fits. With `tool_choice: required` the first tool fits always. */
export function chooseTool(request: ChatRequest, said: string): WantedCall | null {
  const { tools, toolChoice } = request;
  if (tools.length === 0 || toolChoice === "none") return null;
  if (typeof toolChoice === "object") return { name: toolChoice.name, arguments: null };
  for (const [pattern, names] of PURPOSES) {
    if (!pattern.test(said)) continue;
    const name = names.find((candidate) => tools.some((tool) => tool.name === candidate));
    if (name !== undefined) return { name, arguments: null };
  }
  const named = tools.find((tool) => said.toLowerCase().includes(tool.name.replaceAll(/[_-]/g, " ").toLowerCase()));
  if (named !== undefined) return { name: named.name, arguments: null };
  const first = tools[0];
  return toolChoice === "required" && first !== undefined ? { name: first.name, arguments: null } : null;
}

/** Arguments for the required parameters of a tool, and for one that takes a text: what was said for a text, the first choice of an enum, else the empty value. */
export function argumentsFor(tool: OfferedTool, said: string, system: string): string {
  const { properties, required } = tool.parameters;
  if (!isObject(properties)) return "{}";
  const names = Array.isArray(required) ? required.filter((name): name is string => typeof name === "string") : [];
  // Letta's conversation_search requires nothing, but a search without a query finds nothing.
  const text = Object.keys(properties).find((name) => TEXT_PARAMETERS.has(name));
  if (text !== undefined && !names.some((name) => TEXT_PARAMETERS.has(name))) names.unshift(text);
  return JSON.stringify(
    Object.fromEntries(names.map((name) => [name, valueFor(name, propertyOf(properties, name), said, system)])),
  );
}

function propertyOf(properties: JsonObject, name: string): JsonObject {
  const schema = properties[name];
  return isObject(schema) ? schema : {};
}

function valueFor(name: string, schema: JsonObject, said: string, system: string): unknown {
  if (TEXT_PARAMETERS.has(name)) return said;
  // Letta's memory tools name a block; the system prompt shows the ones that exist.
  if (name === "label" || name === "block_label") return memoryBlocks(system)[0] ?? "human";
  if (Array.isArray(schema.enum)) return schema.enum[0] ?? null;
  const types = typesOf(schema);
  if (types.includes("null")) return null;
  switch (types[0]) {
    case "integer":
    case "number":
      return typeof schema.default === "number" ? schema.default : name === "insert_line" ? -1 : (schema.minimum ?? 1);
    case "boolean":
      return false;
    case "array":
      return [];
    case "object":
      return {};
    default:
      return said;
  }
}

function typesOf(schema: JsonObject): string[] {
  if (Array.isArray(schema.anyOf)) return schema.anyOf.flatMap((branch) => (isObject(branch) ? typesOf(branch) : []));
  if (Array.isArray(schema.type)) return schema.type.filter((type): type is string => typeof type === "string");
  const type = asString(schema.type);
  return type === null ? [] : [type];
}

/** Labels of the memory blocks in a system prompt that Letta compiled, "human" first when it is there. */
function memoryBlocks(system: string): string[] {
  const section = /<memory_blocks>([\s\S]*?)<\/memory_blocks>/.exec(system)?.[1] ?? "";
  const labels = [...section.matchAll(/^<([\w-]+)>$/gm)].map((match) => match[1] ?? "");
  const blocks = labels.filter((label) => !["description", "metadata", "value", "memory_blocks"].includes(label));
  return blocks.toSorted((a, b) => Number(b === "human") - Number(a === "human"));
}
