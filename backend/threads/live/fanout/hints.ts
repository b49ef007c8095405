/** In what a thread changed: entries of its log, words of a running turn, who is here, or what its turns are told (to stop, to begin). */
export type Change = "log" | "text" | "people" | "turns";

/**
 * "This thread changed": ids and nothing else, because whoever hears it reads for itself, with its own rights, from its own place on.
 * So a hint that is lost, late or doubled does no harm: a slow look stands behind all of them.
 */
export interface Hint {
  orgId: string;
  threadId: string;
  changes: ReadonlySet<Change>;
}

/** Hints of one moment; `all` where they would be too many, or were lost: everything may have changed. */
export type Hints = readonly Hint[] | "all";

const LETTERS: Record<Change, string> = { log: "l", text: "t", people: "p", turns: "u" };
const CHANGES = new Map(Object.entries(LETTERS).map(([change, letter]) => [letter, change as Change]));

/** Bytes of one payload; PostgreSQL takes less than 8000 (NOTIFY's documentation). */
const PAYLOAD_BYTES_MAX = 7_900;
/** Payloads of one moment; beyond, "everything" is shorter and asks no more of those who hear it than the hints would. */
const PAYLOADS_MAX = 8;
const ALL = "*";

interface Wire {
  /** Who says it, to tell one's own. */
  from: string;
  /** Organization, thread, letters of the changes. */
  hints: Record<string, Record<string, string>> | typeof ALL;
}

/** Hints as payloads of at most PAYLOAD_BYTES_MAX; ids are ASCII. */
export function encodeHints(from: string, hints: Hints): string[] {
  const all = [JSON.stringify({ from, hints: ALL } satisfies Wire)];
  if (hints === "all") return all;
  const payloads: string[] = [];
  let byOrg: Record<string, Record<string, string>> = {};
  const frame = JSON.stringify({ from, hints: {} } satisfies Wire).length;
  let bytes = frame;
  for (const { orgId, threadId, changes } of hints) {
    const letters = [...changes].map((change) => LETTERS[change]).join("");
    const size = threadId.length + letters.length + 6 + (byOrg[orgId] ? 0 : orgId.length + 6);
    if (bytes + size > PAYLOAD_BYTES_MAX) {
      payloads.push(JSON.stringify({ from, hints: byOrg } satisfies Wire));
      byOrg = {};
      bytes = frame + orgId.length + 6;
    }
    byOrg[orgId] ??= {};
    byOrg[orgId][threadId] = letters;
    bytes += size;
  }
  if (Object.keys(byOrg).length > 0) payloads.push(JSON.stringify({ from, hints: byOrg } satisfies Wire));
  return payloads.length > PAYLOADS_MAX ? all : payloads;
}

/**
 * Reads a payload back. Null for one's own. A change that this version does not know is left out, and what cannot be read means
 * everything: processes of two versions run side by side while one replaces the other.
 */
export function decodeHints(own: string, payload: string): Hints | null {
  let wire: Wire;
  try {
    wire = JSON.parse(payload) as Wire;
    if (wire.from === own) return null;
    if (wire.hints === ALL) return "all";
    return Object.entries(wire.hints).flatMap(([orgId, threads]) =>
      Object.entries(threads).map(([threadId, letters]) => ({
        orgId,
        threadId,
        changes: new Set([...letters].flatMap((letter) => CHANGES.get(letter) ?? [])),
      })),
    );
  } catch {
    return "all";
  }
}
