import { randomInt } from "node:crypto";

/** Ids by what they name: the prefix of a TypeID, `cursor` for cursors. */
export type Ids = Record<string, string[]>;

/** https://github.com/jetify-com/typeid: what an id of Graphyn looks like, anywhere in a text. */
const TYPE_ID = /\b([a-z]{2,20})_([0-7][0-9a-hjkmnp-tv-z]{25})\b/g;
const CURSOR = /"(?:next_)?cursor":"([^"]{3,200})"/g;
/** Letta's own names for what is there: a few answers show them. */
const LETTA_ID =
  /\b(agent|conv|block|user|org|identity|archive|message)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g;

const KEPT_OF_A_KIND = 50;
const BASE32 = "0123456789abcdefghjkmnpqrstvwxyz";

/** Adds what a text names. The newest first where the text lists so. */
export function collect(ids: Ids, text: string): void {
  const add = (kind: string, id: string) => {
    const known = ids[kind] ?? [];
    ids[kind] = known;
    if (known.length < KEPT_OF_A_KIND && !known.includes(id)) known.push(id);
  };
  for (const [id, kind = ""] of text.matchAll(TYPE_ID)) add(kind, id);
  for (const [, cursor = ""] of text.matchAll(CURSOR)) if (!typeIdOnly(cursor)) add("cursor", cursor);
  for (const [id] of text.matchAll(LETTA_ID)) add("letta", id);
}

function typeIdOnly(text: string): boolean {
  return new RegExp(`^${TYPE_ID.source}$`).test(text);
}

/** The same kind of id, of the same length, that nobody has. */
export function nobodys(id: string): string {
  const shuffled = (text: string, letters: string) =>
    text.replace(/[0-9a-z]/g, (was) => (letters.includes(was) ? (letters[randomInt(letters.length)] ?? was) : was));
  const typed = new RegExp(`^${TYPE_ID.source}$`).exec(id);
  if (typed?.[2]) return `${typed[1]}_0${shuffled(typed[2].slice(1), BASE32)}`;
  const letta = /^([a-z]+)-(.+)$/.exec(id);
  if (letta?.[2] && LETTA_ID.test(id)) {
    LETTA_ID.lastIndex = 0;
    return `${letta[1]}-${shuffled(letta[2], "0123456789abcdef")}`;
  }
  // A cursor: its check is what tells it from a made-up one, so the check is what changes.
  return id.slice(0, -7) + shuffled(id.slice(-7), "0123456789abcdefghijklmnopqrstuvwxyz");
}

const ALIASES: Record<string, string> = {
  message: "msg",
  participant: "part",
  person: "user",
  people: "user",
  sender: "user",
  host: "part",
  new_host: "part",
  coordinator: "agent",
  "api-key": "key",
  version: "agver",
  invitation: "invite",
};

/** What kind of id stands at a place, by its name and, for a bare `id`, by the path before it; null where the name says nothing. */
export function kindOf(name: string, path: string, ids: Ids): string | null {
  if (/cursor/i.test(name)) return "cursor";
  const before = new RegExp(`/([a-z-]+)/\\{${name}\\}`).exec(path)?.[1] ?? "";
  const word = name === "id" ? singular(before) : singular(name.replace(/Id$|_ids?$/, "").replace(/^(from|to)_/, ""));
  const kind = ALIASES[word.toLowerCase()] ?? word.toLowerCase();
  return ids[kind] ? kind : null;
}

/** A path with the organization's own id, the first of its kind, at each place; `otherwise` where it has none. */
export function fillPath(path: string, ids: Ids, otherwise: (place: string) => string = (place) => place): string {
  return path.replace(/\{(\w+)\}/g, (place, name: string) => {
    return ids[kindOf(name, path, ids) ?? ""]?.[0] ?? otherwise(place);
  });
}

function singular(word: string): string {
  return word === "people" ? word : word.replace(/s$/, "");
}
