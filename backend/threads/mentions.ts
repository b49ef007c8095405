/** Whom a text addresses by @Name. Pure: the same for people's messages and agents' answers. */

/** Somebody who can be addressed: an agent or a person, by id. */
export interface Addressable {
  id: string;
  name: string;
}

/** @ signs of one text that are looked at; the text of a page of addresses must not cost a name's comparison each. */
const SIGNS_MAX = 1_000;
/** Characters between the quotation marks of `@"Ada Byron"`; a name has 200 at most. */
const QUOTED_CHARS_MAX = 250;

/** Scripts that put no space between words: there a name may stand right beside other letters. */
const UNSPACED = "\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}";
/** What an @ may not follow: then it belongs to an e-mail address, a path, a handle, or was escaped. */
const INSIDE_A_WORD = new RegExp(`(?![${UNSPACED}])[\\p{L}\\p{M}\\p{N}_.%+\\-/@\\\\]$`, "u");
/** What may not follow a name: the rest of a longer word, of a domain or of a path. */
const WORD_GOES_ON = new RegExp(`^(?:(?![${UNSPACED}])[\\p{L}\\p{M}\\p{N}_@]|[-./][\\p{L}\\p{N}_])`, "u");

/**
 * The participants whom `text` addresses, in the order of the text: for each name found the ids of all who bear it, each name once.
 * `@Ada` and `@Ada Byron` are compared with the names without regard to case, and the longest name that fits wins; `@"Ada Byron"` is
 * exactly that name. In code (`…`, fenced blocks), e-mail addresses, paths and after a backslash nobody is addressed.
 */
export function addressed(text: string, participants: Addressable[]): string[][] {
  if (!text.includes("@")) return []; // most texts
  const byName = new Map<string, string[]>();
  for (const { id, name } of participants) {
    const key = fold(name).trim();
    if (key !== "") byName.set(key, [...(byName.get(key) ?? []), id]);
  }
  const names = [...byName.keys()].sort((a, b) => b.length - a.length);
  const prose = withoutCode(fold(text));
  const found = new Map<string, string[]>();
  let signs = 0;
  for (let at = prose.indexOf("@"); at !== -1 && signs < SIGNS_MAX; at = prose.indexOf("@", at + 1), signs++) {
    if (INSIDE_A_WORD.test(prose.slice(Math.max(0, at - 2), at))) continue;
    const name = quotedName(prose, at + 1) ?? names.find((candidate) => standsAt(prose, at + 1, candidate));
    const ids = name === undefined ? undefined : byName.get(name);
    if (name !== undefined && ids) found.set(name, ids);
  }
  return [...found.values()];
}

/** Case and the ways to write one letter or one space set aside. */
function fold(text: string): string {
  return text
    .normalize("NFC")
    .toLowerCase()
    .replaceAll(/[^\S\n]+/gu, " ");
}

function standsAt(prose: string, at: number, name: string): boolean {
  const end = at + name.length;
  return prose.startsWith(name, at) && !WORD_GOES_ON.test(prose.slice(end, end + 4));
}

function quotedName(prose: string, at: number): string | undefined {
  const match = /^["“]([^"“”\n]+)["”]/u.exec(prose.slice(at, at + QUOTED_CHARS_MAX));
  return match?.[1]?.trim();
}

/** The text with its code left out, as Markdown marks it: fenced blocks, and what stands between equal runs of backticks. */
function withoutCode(text: string): string {
  if (!text.includes("`") && !text.includes("~~~")) return text;
  const kept: string[] = [];
  let fence: string | null = null;
  for (const line of text.split("\n")) {
    const mark = /^ {0,3}(`{3,}|~{3,})(.*)$/u.exec(line);
    const [run = "", rest = ""] = mark ? [mark[1], mark[2]] : [];
    if (fence !== null) {
      if (run.startsWith(fence) && rest.trim() === "") fence = null;
      kept.push("");
    } else if (run !== "" && !(run.startsWith("`") && rest.includes("`"))) {
      fence = run;
      kept.push("");
    } else kept.push(line);
  }
  return kept
    .join("\n")
    .split(/(\n *\n)/u)
    .map(withoutSpans)
    .join("");
}

/** A span of code ends with a run of as many backticks as it began with; a run that nothing ends is text. */
function withoutSpans(paragraph: string): string {
  const runs = [...paragraph.matchAll(/`+/gu)].map(({ index, 0: run }) => ({ index, length: run.length }));
  const next = new Map<number, number>();
  const closers = new Array<number | undefined>(runs.length);
  for (let i = runs.length - 1; i >= 0; i--) {
    const length = runs[i]?.length ?? 0;
    closers[i] = next.get(length);
    next.set(length, i);
  }
  let kept = "";
  let at = 0;
  for (let i = 0; i < runs.length; i++) {
    const open = runs[i];
    const closer = closers[i];
    const close = closer === undefined ? undefined : runs[closer];
    if (!open || !close || closer === undefined) continue;
    kept += `${paragraph.slice(at, open.index)}\n`; // a line's end, so that no name reaches over the code
    at = close.index + close.length;
    i = closer;
  }
  return kept + paragraph.slice(at);
}
