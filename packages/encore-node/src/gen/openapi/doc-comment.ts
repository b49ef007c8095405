/** A doc comment's parts, as documents use them. */
export interface DocComment {
  /** The first sentence's line. */
  summary: string;
  /** Everything before the first tag. */
  description: string;
  tags: DocTag[];
}

/** `@name rest of the line`, and the lines below it up to the next tag. */
export interface DocTag {
  name: string;
  text: string;
  block: string;
}

/** Splits a comment into its text and its block tags; `@` in the middle of a line is no tag. */
export function parseDoc(doc: string): DocComment {
  const tags: DocTag[] = [];
  const text: string[] = [];
  for (const line of doc.split("\n")) {
    const [, name, rest] = /^\s*@([a-z][a-zA-Z-]*)\s*(.*)$/.exec(line) ?? [];
    const tag = tags.at(-1);
    if (name !== undefined) tags.push({ name, text: (rest ?? "").trim(), block: "" });
    else if (tag) tag.block += `${line}\n`;
    else text.push(line);
  }
  for (const tag of tags) tag.block = tag.block.trim();
  const description = text.join("\n").trim();
  return { summary: firstSentence(description), description, tags };
}

/** A summary longer than this is cut at its first colon. */
const SUMMARY_CHARACTERS = 90;

/** Up to the first full stop that ends a sentence, within the first paragraph, on one line. */
function firstSentence(text: string): string {
  const paragraph = (text.split(/\n\s*\n/)[0] ?? "").replace(/\s*\n\s*/g, " ");
  const [sentence] = /^.*?[.!?](?=\s|$)/.exec(paragraph) ?? [paragraph];
  const colon = sentence.length > SUMMARY_CHARACTERS ? sentence.indexOf(": ") : -1;
  return (colon > 0 ? sentence.slice(0, colon) : sentence).replace(/\.$/, "");
}
