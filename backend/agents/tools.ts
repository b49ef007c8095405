import { invalid } from "../lib/errors";

/**
 * What an agent's `tools` may name: Letta's memory and history tools, which read and write the agent's own memory inside Letta. Nothing
 * else: Letta runs other tools on its own host (perf-reliability L15).
 */
export const ALLOWED_TOOLS = {
  conversation_search: "searches what was said before",
  memory_insert: "adds to a memory block",
  memory_replace: "replaces text in a memory block",
  memory_rethink: "rewrites a memory block",
  memory_finish_edits: "ends a series of edits",
  core_memory_append: "adds to a memory block (older form)",
  core_memory_replace: "replaces text in a memory block (older form)",
  archival_memory_insert: "puts a passage into long-term memory",
  archival_memory_search: "searches long-term memory",
} as const satisfies Record<string, string>;

export type ToolName = keyof typeof ALLOWED_TOOLS;

/** What a new agent has when `tools` is left out. */
export const DEFAULT_TOOLS: ToolName[] = ["conversation_search", "memory_insert", "memory_replace"];

/** Tools that need a place for passages, and so an embedding model. */
export const ARCHIVAL_TOOLS: ReadonlySet<string> = new Set<ToolName>([
  "archival_memory_insert",
  "archival_memory_search",
]);

/** Letta's kinds of tools whose code is Letta's own and runs inside it (services/tool_executor/tool_execution_manager.py). */
export const SAFE_TOOL_TYPES: ReadonlySet<string> = new Set([
  "letta_core",
  "letta_memory_core",
  "letta_sleeptime_core",
]);

const REFUSED: [RegExp, string][] = [
  [/^(run_code|run_code_with_tools)$/, "It would run code on the agent server's host."],
  [/^(web_search|fetch_webpage)$/, "It would reach into the network from the agent server's host."],
  [/^send_message_to_agent/, "It would reach other agents past the thread."],
  [/\bdef\b|\bimport\b|[\n(]/, "Tools are named, not written: Python source is not taken."],
];

/** The names, each once. Throws `tool_not_allowed`, which says what is allowed. */
export function checkTools(tools: readonly string[]): ToolName[] {
  for (const tool of tools) {
    if (Object.hasOwn(ALLOWED_TOOLS, tool)) continue;
    const why = REFUSED.find(([pattern]) => pattern.test(tool))?.[1] ?? "There is no such tool.";
    throw invalid(
      "tool_not_allowed",
      `An agent cannot have this tool: ${why}`,
      `Allowed are ${Object.keys(ALLOWED_TOOLS).join(", ")}.`,
      { tool: tool.slice(0, 64), allowed_tools: ALLOWED_TOOLS, context: null },
    );
  }
  return [...new Set(tools)] as ToolName[];
}
