/** A chat request as far as the dev model reads it. Fields it does not know are accepted and ignored, as OpenAI's own servers mostly do. */
import { invalidRequest } from "./errors";

export interface ChatMessage {
  role: string;
  /** Text parts joined; parts that are not text are left out. */
  text: string;
  name: string | null;
  toolCalls: { id: string; name: string; arguments: string }[];
  toolCallId: string | null;
}

export interface OfferedTool {
  name: string;
  parameters: JsonObject;
}

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  tools: OfferedTool[];
  toolChoice: "none" | "auto" | "required" | { name: string };
  parallelToolCalls: boolean;
  stream: boolean;
  includeUsage: boolean;
  tokensMax: number | null;
  /** Letta sends its own user id here, which is the tenant. */
  user: string | null;
}

export type JsonObject = { readonly [key: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function asString(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

export function readChatRequest(body: JsonObject): ChatRequest {
  const model = asString(body.model);
  if (model === null) throw invalidRequest('model must be a string, for example "dev"', "model");
  if (!Array.isArray(body.messages) || body.messages.length === 0) {
    throw invalidRequest("messages must be a list with at least one message", "messages");
  }
  const limit = body.max_completion_tokens ?? body.max_tokens;
  return {
    model,
    messages: body.messages.map(readMessage),
    tools: Array.isArray(body.tools) ? body.tools.flatMap(readTool) : [],
    toolChoice: readToolChoice(body.tool_choice),
    parallelToolCalls: body.parallel_tool_calls !== false,
    stream: body.stream === true,
    includeUsage: isObject(body.stream_options) && body.stream_options.include_usage === true,
    tokensMax: typeof limit === "number" && limit > 0 ? limit : null,
    user: asString(body.user),
  };
}

function readMessage(value: unknown, index: number): ChatMessage {
  const role = isObject(value) ? asString(value.role) : null;
  if (!isObject(value) || role === null) throw invalidRequest(`messages[${index}] needs a role`, `messages[${index}]`);
  return {
    role,
    text: readText(value.content),
    name: asString(value.name),
    toolCalls: Array.isArray(value.tool_calls) ? value.tool_calls.flatMap(readToolCall) : [],
    toolCallId: asString(value.tool_call_id),
  };
}

function readText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (isObject(part) ? (asString(part.text) ?? "") : "")).join("");
}

function readToolCall(value: unknown): ChatMessage["toolCalls"] {
  if (!isObject(value) || !isObject(value.function)) return [];
  const { name, arguments: args } = value.function;
  return [{ id: asString(value.id) ?? "", name: asString(name) ?? "", arguments: asString(args) ?? "" }];
}

function readTool(value: unknown): OfferedTool[] {
  if (!isObject(value) || !isObject(value.function)) return [];
  const name = asString(value.function.name);
  if (name === null) return [];
  return [{ name, parameters: isObject(value.function.parameters) ? value.function.parameters : {} }];
}

function readToolChoice(value: unknown): ChatRequest["toolChoice"] {
  if (value === "none" || value === "required") return value;
  if (isObject(value) && isObject(value.function)) {
    const name = asString(value.function.name);
    if (name !== null) return { name };
  }
  return "auto";
}
