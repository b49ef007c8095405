/** Characters a prompt token stands for in the estimate of `usage.prompt_tokens`. */
const CHARACTERS_PER_TOKEN = 4;

/** Splits a text into the pieces that are streamed as tokens; joined again they are the text. */
export function tokenize(text: string): string[] {
  return text.match(/\s*\S{1,12}|\s+/gu) ?? [];
}

/** `n` numbered tokens (" 1", " 2", …), so that a reader can see at once which one is missing. */
export function numberedTokens(n: number): string[] {
  return Array.from({ length: n }, (_, i) => (i === 0 ? "1" : ` ${i + 1}`));
}

export function estimateTokens(text: string): number {
  return Math.ceil(text.length / CHARACTERS_PER_TOKEN);
}
