import type { LettaMessage } from "../../lib/letta-client";
import { otidOf } from "./otid";

/** A turn's tries each had a name of their own in Letta. */
const ATTEMPTS_LOOKED_FOR = 10;

/** The message of a turn, by the name it was given. */
export function messageOf(turnId: string, messages: LettaMessage[]): LettaMessage | undefined {
  const names = new Set(Array.from({ length: ATTEMPTS_LOOKED_FOR }, (_, at) => otidOf(turnId, at + 1)));
  return messages.findLast(({ kind, otid }) => kind === "user_message" && otid !== null && names.has(otid));
}

/**
 * The agent's words that Letta stored for a turn; null when it has not stored the turn's message. By their run and time, because the
 * places of a conversation's messages in Letta's list change when it is compacted.
 */
export function storedOf(turnId: string, messages: LettaMessage[]): string | null {
  const asked = messageOf(turnId, messages);
  if (!asked) return null;
  return messages
    .filter(({ kind, runId, text }) => kind === "assistant_message" && runId === asked.runId && text !== "")
    .toSorted((a, b) => Date.parse(a.createdAt ?? "") - Date.parse(b.createdAt ?? ""))
    .map(({ text }) => text)
    .join("\n\n"); // as a turn joins its steps
}

/** How many of an answer's last characters are not in what Letta stored of it. */
export function lackingOf(answer: string, stored: string | null): number {
  const all = [...answer].length;
  if (stored === null) return all;
  if (stored.startsWith(answer)) return 0; // Letta may have more: what came after the last word that was shown
  return answer.startsWith(stored) ? all - [...stored].length : all;
}
