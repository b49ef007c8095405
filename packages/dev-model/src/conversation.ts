/** Reads out of a chat request who the agent is, who speaks to it, and what was said last. */
import type { ChatMessage } from "./request";

/** A line of what people and agents said, with the speaker when the line names one. */
export interface Utterance {
  speaker: string | null;
  text: string;
}

/** A word of a name: "Ada", "O'Neil", "v2.1", or an initial with its full stop. Another word's full stop ends the sentence, and the name. */
const NAME_WORD = "\\p{Lu}(?:\\.|[\\p{L}\\p{N}'’_-]*(?:\\.[\\p{L}\\p{N}'’_-]+)*)";
const NAME = `${NAME_WORD}(?: ${NAME_WORD}){0,2}`;
const AGENT_NAME = [
  new RegExp(`\\b[Yy]our name is (${NAME})`, "u"),
  new RegExp(`\\b[Yy]ou are (?:called |named )?(${NAME})`, "u"),
  new RegExp(`\\b(?:[Mm]y name is|I am|I'm) (${NAME})`, "u"),
];
/** `Ada: text`, `[Ada]: text`, `[Ada] text`, `Ada (agent): text`. */
const SPEAKER = /^(?:\[([^\]\n]{1,60})\]:?|([\p{L}\p{N}][^:\n<>{}"!?]{0,59}?)(?: \([^)\n]{1,40}\))?:)\s+(?=\S)/u;
/** How Graphyn tells an agent who said what (`<`, `&` and `"` are escaped within). */
const TAG = /<message from="([^"]*)"[^>]*>([^<]*)<\/message>/g;

export function systemPrompt(messages: readonly ChatMessage[]): string {
  return messages
    .filter((message) => message.role === "system" || message.role === "developer")
    .map((message) => message.text)
    .join("\n");
}

/** The name in "You are Ada…" or "Your name is Ada"; else the end of Letta's AGENT_ID; else "the agent". */
export function agentName(system: string): string {
  for (const pattern of AGENT_NAME) {
    const name = pattern.exec(system)?.[1];
    if (name !== undefined) return name.replace(/[.'’_-]+$/u, "");
  }
  const id = /AGENT_ID: agent-([\w-]+)/.exec(system)?.[1];
  return id === undefined ? "the agent" : `agent …${id.slice(-4)}`;
}

/** The last message of a person (what Letta or Graphyn sent as role `user`), without Letta's JSON envelope if it has one. */
export function lastUserMessage(messages: readonly ChatMessage[]): ChatMessage | null {
  const message = messages.findLast((candidate) => candidate.role === "user");
  return message === undefined ? null : { ...message, text: unwrap(message.text) };
}

/** What came back from tools since the person last spoke. */
export function toolResults(messages: readonly ChatMessage[]): { name: string; text: string }[] {
  const since = messages.slice(messages.findLastIndex((message) => message.role === "user") + 1);
  const calls = new Map(since.flatMap((message) => message.toolCalls.map((call) => [call.id, call.name] as const)));
  return since
    .filter((message) => message.role === "tool")
    .map((message) => ({ name: message.name ?? calls.get(message.toolCallId ?? "") ?? "a tool", text: message.text }));
}

/** The utterances of a message: Graphyn's `<message from="Mira" role="person">` tags; else a line that names a speaker begins one, and other lines continue it. */
export function utterances(message: ChatMessage): Utterance[] {
  const tagged = [...message.text.matchAll(TAG)].map((match) => ({
    speaker: unescapeText(match[1] ?? ""),
    text: unescapeText(match[2] ?? "").trim(),
  }));
  if (tagged.length > 0) return tagged;
  const result: Utterance[] = [];
  for (const line of message.text.split(/\r\n|\r|\n/)) {
    const match = SPEAKER.exec(line);
    const speaker = match?.[1] ?? match?.[2];
    const last = result.at(-1);
    if (speaker !== undefined) result.push({ speaker, text: line.slice(match?.[0].length) });
    else if (last === undefined) result.push({ speaker: message.name, text: line });
    else last.text += `\n${line}`;
  }
  return result.map(({ speaker, text }) => ({ speaker, text: text.trim() })).filter(({ text }) => text !== "");
}

function unwrap(text: string): string {
  if (!text.startsWith("{")) return text;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "message" in value && typeof value.message === "string") {
      return value.message;
    }
  } catch {
    // A person may well begin with a brace.
  }
  return text;
}

function unescapeText(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}
