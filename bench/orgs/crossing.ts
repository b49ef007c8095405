/** The canary words in a text: each organization has one, in its agents' instructions and in all that it says. */
export function canariesIn(text: string): Set<string> {
  return new Set(text.match(/canary-[0-9a-z]{12}/g) ?? []);
}

/** How many of these texts hold a canary that is not their organization's. */
export function crossings(texts: readonly { canary: string; text: string }[]): number {
  return texts.filter(({ canary, text }) => [...canariesIn(text)].some((found) => found !== canary)).length;
}
