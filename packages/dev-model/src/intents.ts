/** Lines that begin with `!` in the last message of a person steer the answer, so that one agent can show everything. README.md lists them. */
import { applyWord, type Behaviour } from "./behaviour";
import type { Utterance } from "./conversation";

export interface WantedCall {
  name: string;
  /** JSON text as it was written; null when the arguments are to be made up from the tool's schema. */
  arguments: string | null;
}

export interface Intents {
  behaviour: Behaviour;
  calls: WantedCall[];
}

/** Only what was said last counts: an agent that catches up on a conversation must not repeat the orders in it. */
export function readIntents(said: Utterance | undefined, base: Behaviour): Intents {
  let behaviour = base;
  const calls: WantedCall[] = [];
  for (const line of (said?.text ?? "").split("\n")) {
    const match = /^!([a-z]+)(?:\s+(.*))?$/u.exec(line.trim());
    if (match === null) continue;
    const word = match[1] ?? "";
    const rest = match[2]?.trim() ?? "";
    if (word === "tool" && rest !== "") {
      const call = /^([\w.-]+)\s*(.*)$/u.exec(rest);
      if (call !== null) calls.push({ name: call[1] ?? "", arguments: call[2] === "" ? null : (call[2] ?? null) });
    } else if (word === "say") {
      behaviour = { ...behaviour, answer: { kind: "say", text: rest } };
    } else {
      behaviour = applyWord(behaviour, word, /^\d+$/.test(rest) ? Number(rest) : null) ?? behaviour;
    }
  }
  return { behaviour, calls };
}
