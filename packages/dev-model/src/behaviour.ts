/** What a model id asks for: `dev` and any of the segments below, joined by hyphens (`dev-n300-d100-r50`, `dev-cut-5-r20`). */
import { invalidRequest } from "./errors";
import { ANSWER_TOKENS_MAX, DELAY_MS_MAX, TOKENS_PER_SECOND_MAX, WINDOW_TOKENS_MAX } from "./limits";

export type AnswerKind =
  | { kind: "talk" }
  | { kind: "echo" }
  | { kind: "tool" }
  | { kind: "empty" }
  | { kind: "filter" }
  | { kind: "numbered"; tokens: number }
  | { kind: "say"; text: string }
  | { kind: "error"; status: number }
  | { kind: "hang" }
  | { kind: "garbage" };

export interface Behaviour {
  answer: AnswerKind;
  /** The connection is destroyed after so many tokens. */
  cutAfterTokens: number | null;
  /** After so many tokens nothing more comes, until the reader goes. */
  holdAfterTokens: number | null;
  /** A prompt estimated above so many tokens is refused as too long. */
  windowTokens: number | null;
  firstTokenMs: number;
  /** Null: as fast as the reader takes them. */
  tokensPerSecond: number | null;
}

export const INSTANT: Behaviour = {
  answer: { kind: "talk" },
  cutAfterTokens: null,
  holdAfterTokens: null,
  windowTokens: null,
  firstTokenMs: 0,
  tokensPerSecond: null,
};

const NUMBER_MAX: Record<string, number> = {
  slow: DELAY_MS_MAX,
  d: DELAY_MS_MAX,
  rate: TOKENS_PER_SECOND_MAX,
  r: TOKENS_PER_SECOND_MAX,
  long: ANSWER_TOKENS_MAX,
  n: ANSWER_TOKENS_MAX,
  tokens: ANSWER_TOKENS_MAX,
  cut: ANSWER_TOKENS_MAX,
  hold: ANSWER_TOKENS_MAX,
  w: WINDOW_TOKENS_MAX,
  error: 599,
};

/** The behaviour of a model id, or null when it is none of ours. */
export function behaviourOfModel(id: string): Behaviour | null {
  const match = /^dev(?:-|$)(.*)$/.exec(id);
  if (match === null) return null;
  let rest = match[1] ?? "";
  let behaviour = INSTANT;
  while (rest !== "") {
    const segment =
      /^(?:(echo|tool|empty|filter|hang|garbage)|(slow|rate|long|cut|hold|error)-(\d+)|([ndrw])(\d+))(?:-|$)/.exec(
        rest,
      );
    if (segment === null) return null;
    const word = segment[1] ?? segment[2] ?? segment[4] ?? "";
    const number = segment[3] ?? segment[5];
    const next = applyWord(behaviour, word, number === undefined ? null : Number(number));
    if (next === null) return null;
    behaviour = next;
    rest = rest.slice(segment[0].length);
  }
  return behaviour;
}

/** One segment of a model id or one `!word` of a message applied to a behaviour; null when the word is unknown or lacks its number. */
export function applyWord(behaviour: Behaviour, word: string, number: number | null): Behaviour | null {
  const max = NUMBER_MAX[word];
  if (max !== undefined) {
    if (number === null) return null;
    if (number > max) throw invalidRequest(`"${word}" takes at most ${max}, not ${number}`, "model");
  }
  switch (word) {
    case "echo":
    case "tool":
    case "empty":
    case "filter":
    case "hang":
    case "garbage":
      return { ...behaviour, answer: { kind: word } };
    case "long":
    case "n":
    case "tokens":
      return { ...behaviour, answer: { kind: "numbered", tokens: number ?? 0 } };
    case "error":
      if ((number ?? 0) < 400) return null;
      return { ...behaviour, answer: { kind: "error", status: number ?? 500 } };
    case "cut":
      return { ...behaviour, cutAfterTokens: number };
    case "hold":
      return { ...behaviour, holdAfterTokens: number };
    case "w":
      return { ...behaviour, windowTokens: number };
    case "slow":
    case "d":
      return { ...behaviour, firstTokenMs: number ?? 0 };
    case "rate":
    case "r":
      if (number === 0) return null;
      return { ...behaviour, tokensPerSecond: number };
    default:
      return null;
  }
}
