/** Makes the answer to a request: what is said or called, and why it ends. A pure function of the request. */
import { createHash } from "node:crypto";
import type { Behaviour } from "./behaviour";
import { agentName, lastUserMessage, systemPrompt, toolResults, type Utterance, utterances } from "./conversation";
import { readIntents, type WantedCall } from "./intents";
import { ANSWER_TOKENS_MAX } from "./limits";
import type { ChatRequest } from "./request";
import { numberedTokens, tokenize } from "./tokens";
import { argumentsFor, chooseTool } from "./tool-call";

export interface ToolCallDelta {
  index: number;
  id?: string;
  type?: "function";
  function: { name?: string; arguments: string };
}

/** One streamed token. */
export type Delta = { content: string } | { tool_calls: ToolCallDelta[] };

export type FinishReason = "stop" | "length" | "content_filter" | "tool_calls";

export interface Answer {
  behaviour: Behaviour;
  deltas: Delta[];
  finish: FinishReason;
}

const QUOTED_CHARACTERS_MAX = 160;

export function answer(request: ChatRequest, base: Behaviour): Answer {
  const message = lastUserMessage(request.messages);
  const said = message === null ? [] : utterances(message);
  const { behaviour, calls } = readIntents(said.at(-1), base);
  const spoken = said.at(-1)?.text ?? "";
  const system = systemPrompt(request.messages);
  const results = toolResults(request.messages);

  if (results.length === 0) {
    const wanted = calls.length > 0 ? calls : automaticCall(request, behaviour, spoken);
    const offered = wanted.filter((call) => request.tools.some((tool) => tool.name === call.name));
    if (offered.length > 0) {
      const made = request.parallelToolCalls ? offered : offered.slice(0, 1);
      return { behaviour, deltas: callDeltas(request, made, spoken, system), finish: "tool_calls" };
    }
    const missing = calls[0];
    if (missing !== undefined) return text(behaviour, `No tool named ${missing.name} was offered to me.`, request);
  } else if (calls.length > 0 || behaviour.answer.kind === "tool") {
    const told = results.map((result) => `I called ${result.name}. It returned: ${shorten(result.text)}`).join(" ");
    return text(behaviour, told, request);
  }

  switch (behaviour.answer.kind) {
    case "echo":
      return text(behaviour, message?.text ?? "", request);
    case "say":
      return text(behaviour, behaviour.answer.text, request);
    case "numbered":
      return limited(behaviour, numberedTokens(behaviour.answer.tokens), request);
    case "empty":
      return { behaviour, deltas: [], finish: "stop" };
    case "filter":
      return { ...text(behaviour, "I was about to say something that", request), finish: "content_filter" };
    default:
      return text(behaviour, introduction(system, said, results), request);
  }
}

/** What `dev` says: who it is, that it is no language model, who spoke, what was said, and how its instructions begin. */
function introduction(
  system: string,
  said: readonly Utterance[],
  results: readonly { name: string; text: string }[],
): string {
  const last = said.at(-1);
  const others = [...new Set(said.slice(0, -1).flatMap((utterance) => utterance.speaker ?? []))].filter(
    (name) => name !== last?.speaker,
  );
  const instructions = system.split("\n").find((line) => line.trim() !== "" && !line.startsWith("<"));
  return [
    `${last?.speaker ? `${last.speaker}, this` : "This"} is ${agentName(system)}.`,
    last === undefined ? "Nobody has said anything yet." : `You said: ${quote(last.text)}`,
    others.length > 0 ? `I also heard ${others.join(", ")}.` : "",
    ...results.map((result) => `${result.name} returned: ${shorten(result.text)}.`),
    "I am Graphyn's development model, not a language model, so I only repeat what reached me.",
    instructions === undefined ? "" : `My instructions begin: ${quote(instructions)}`,
  ]
    .filter((sentence) => sentence !== "")
    .join(" ");
}

function automaticCall(request: ChatRequest, behaviour: Behaviour, said: string): WantedCall[] {
  const forced = request.toolChoice === "required" || typeof request.toolChoice === "object";
  if (behaviour.answer.kind !== "tool" && !forced) return [];
  const call = chooseTool(request, said);
  return call === null ? [] : [call];
}

/** As OpenAI streams them: id and name first, then the arguments in pieces. */
function callDeltas(request: ChatRequest, calls: readonly WantedCall[], said: string, system: string): Delta[] {
  const seed = createHash("sha256").update(JSON.stringify(request.messages)).digest("hex");
  return calls.flatMap((call, index) => {
    const tool = request.tools.find((candidate) => candidate.name === call.name);
    const args = call.arguments ?? (tool === undefined ? "{}" : argumentsFor(tool, said, system));
    const head: ToolCallDelta = {
      index,
      id: `call_${seed.slice(0, 22)}${index}`,
      type: "function",
      function: { name: call.name, arguments: "" },
    };
    const pieces = tokenize(args).map((piece): ToolCallDelta => ({ index, function: { arguments: piece } }));
    return [head, ...pieces].map((delta): Delta => ({ tool_calls: [delta] }));
  });
}

function text(behaviour: Behaviour, words: string, request: ChatRequest): Answer {
  return limited(behaviour, tokenize(words), request);
}

function limited(behaviour: Behaviour, tokens: readonly string[], request: ChatRequest): Answer {
  const max = Math.min(request.tokensMax ?? ANSWER_TOKENS_MAX, ANSWER_TOKENS_MAX);
  const deltas = tokens.slice(0, max).map((content): Delta => ({ content }));
  return { behaviour, deltas, finish: tokens.length > max ? "length" : "stop" };
}

/** In quotation marks, with a full stop only where the words bring none. */
function quote(words: string): string {
  const short = shorten(words);
  return `“${short}”${/[.!?…]$/u.test(short) ? "" : "."}`;
}

function shorten(words: string): string {
  const flat = words.replaceAll(/\s+/gu, " ").trim();
  const characters = [...flat];
  return characters.length <= QUOTED_CHARACTERS_MAX
    ? flat
    : `${characters.slice(0, QUOTED_CHARACTERS_MAX - 1).join("")}…`;
}
