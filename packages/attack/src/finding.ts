import type { Answer } from "./http";
import type { Party } from "./party";

/** Something that one organization could see, do or tell of another. */
export interface Finding {
  /** Where: the endpoint and the place, or the part of the attack. */
  at: string;
  what: string;
  /** What shows it: both answers, or the text that should not be there. */
  proof: string;
}

const PROOF_CHARS_MAX = 1_500;

export function finding(at: string, what: string, proof: string): Finding {
  return { at, what, proof: proof.slice(0, PROOF_CHARS_MAX) };
}

/** Characters shown before and after what should not be in a text. */
const AROUND_CHARS = 300;

/** The finding that a text holds something of the victim, with what stands around it. */
export function leaked(at: string, leak: string, text: string): Finding {
  const from = Math.max(0, text.indexOf(leak) - AROUND_CHARS);
  return finding(at, `shows ${leak}`, text.slice(from, from + leak.length + 2 * AROUND_CHARS));
}

/** Whatever of the victim stands in a text that its neighbour was given, and was not sent by the neighbour itself. */
export function leakIn(victim: Party, text: string, sent: readonly string[] = []): string | null {
  let rest = text;
  for (const own of sent) if (own !== "") rest = rest.replaceAll(own, "");
  if (rest.includes(victim.word)) return victim.word;
  for (const [kind, ids] of Object.entries(victim.ids)) {
    if (kind === "cursor" || kind === "idempotency") continue; // they say nothing of whose they are
    const found = ids.find((id) => !victim.given.has(id) && rest.includes(id));
    if (found !== undefined) return found;
  }
  return null;
}

/** How two answers differ that have to be one; null where they do not. What was sent may come back in each. */
export function difference(
  [foreign, missing]: [Answer, Answer],
  sent: { foreign: readonly string[]; missing: readonly string[] },
): string | null {
  const [a, b] = [masked(foreign, sent.foreign), masked(missing, sent.missing)];
  if (a.status !== b.status) return `status ${a.status} and ${b.status}`;
  if (a.status < 400) return null; // the place is of no meaning there: what came is looked at for leaks
  if (a.headers !== b.headers) return `headers differ:\n${a.headers}\n---\n${b.headers}`;
  if (a.text !== b.text) return `bodies differ:\n${a.text}\n---\n${b.text}`;
  return null;
}

function masked({ status, headers, text }: Answer, sent: readonly string[]): Answer {
  const mask = (of: string) =>
    sent.reduce((rest, value) => (value === "" ? rest : rest.replaceAll(value, "«sent»")), of);
  return { status, headers: mask(headers), text: mask(text) };
}
