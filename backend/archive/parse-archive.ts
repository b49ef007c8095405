import { createHash } from "node:crypto";
import { canonicalJson, type Json } from "../lib/canonical-json";
import { isId } from "../lib/ids";
import { type ArchivedHead, type End, FORMAT, type Header, type Row, VERSION } from "./format";
import { fits } from "./kinds";
import type { Line } from "./read-lines";
import { badLine, damaged, notAnArchive, notWhole, otherVersion } from "./refused";
import { ARCHIVED, type ArchivedTable } from "./tables";

export interface ParsedRow {
  line: number;
  table: string;
  row: Row;
  bytes: number;
}

export type ParsedEnd = End & { rows: number };

const HEX_64 = /^[0-9a-f]{64}$/;

/**
 * Reads an archive and believes nothing of it: its form to the byte, its tables and rows in their order, each once, each with exactly its
 * columns, each value of its kind; and at the end that all of it came. `row` gets each row; what comes back is the end.
 */
export async function parseArchive(
  lines: AsyncIterator<Line>,
  first: Line,
  take: (row: ParsedRow) => Promise<void>,
): Promise<ParsedEnd> {
  const hash = createHash("sha256").update(first.bytes);
  const counts: Record<string, number> = Object.fromEntries(Object.keys(ARCHIVED).map((table) => [table, 0]));
  const tables = Object.keys(ARCHIVED);
  let at = 0;
  let before: Row | null = null;
  let end: End | null = null;
  for (let next = await lines.next(); !next.done; next = await lines.next()) {
    const line = next.value;
    if (end) throw badLine(line.number, "it comes after the end");
    const value = parseLine(line);
    if ("cut" in value) throw notWhole();
    if ("end" in value) {
      end = requireEnd(line, value.end);
      if (end.sha256 !== hash.digest("hex")) throw damaged("its bytes have another hash");
      continue;
    }
    hash.update(line.bytes);
    const { table, row } = value as { table?: Json; row?: Json };
    const spec = typeof table === "string" && Object.hasOwn(ARCHIVED, table) ? ARCHIVED[table] : undefined;
    if (typeof table !== "string" || !spec || Object.keys(value).length !== 2)
      throw badLine(line.number, "it is no row");
    const place = tables.indexOf(table);
    if (place < at) throw badLine(line.number, "its table has ended before");
    if (place > at) before = null;
    at = place;
    const checked = requireRow(line, spec, row);
    if (before !== null && !comesAfter(spec, before, checked))
      throw badLine(line.number, "it does not come after the row before it, or is the same one");
    before = checked;
    counts[table] = (counts[table] ?? 0) + 1;
    await take({ line: line.number, table, row: checked, bytes: line.bytes.length });
  }
  if (!end) throw notWhole();
  if (canonicalJson(end.counts) !== canonicalJson(counts)) throw damaged("there are more or fewer rows than it says");
  return { ...end, rows: Object.values(counts).reduce((sum, count) => sum + count, 0) };
}

/** Of which organization an archive says it is. */
export function parseHeader(first: Line | undefined): Header {
  if (!first) throw notAnArchive();
  let value: Record<string, Json>;
  try {
    value = parseLine(first);
  } catch {
    throw notAnArchive();
  }
  if ("cut" in value) throw notWhole();
  const { format, organization_id, version } = value;
  if (format !== FORMAT) throw notAnArchive();
  if (version !== VERSION) throw otherVersion(version);
  if (typeof organization_id !== "string" || !isId("org", organization_id)) throw notAnArchive();
  if (Object.keys(value).length !== 3) throw notAnArchive();
  return { format, organization_id, version };
}

/** A line is the canonical text of an object, so that two readers cannot read two things in it. */
function parseLine({ number, text }: Line): Record<string, Json> {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
    if (canonicalJson(value) !== text) throw new Error("not canonical");
  } catch {
    throw badLine(number, "it is no canonical JSON"); // or nested deeper than can be read
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw badLine(number, "it is no object");
  return value;
}

function requireRow({ number }: Line, { columns }: ArchivedTable, row: Json | undefined): Row {
  if (typeof row !== "object" || row === null || Array.isArray(row)) throw badLine(number, "it is no row");
  const names = Object.keys(columns);
  const unknown = Object.keys(row).some((name) => !Object.hasOwn(columns, name));
  if (unknown || Object.keys(row).length !== names.length) throw badLine(number, "it has other columns than its table");
  for (const [name, kind] of Object.entries(columns)) {
    if (!fits(kind, row[name])) throw badLine(number, `${name} is no ${kind}`);
  }
  return row;
}

function comesAfter({ key, columns }: ArchivedTable, before: Row, row: Row): boolean {
  for (const name of key) {
    const [a, b] = [before[name] ?? null, row[name] ?? null];
    if (a === b) continue;
    if (typeof a === "number" && typeof b === "number") return a < b;
    return columns[name] !== "json" && Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b))) < 0;
  }
  return false;
}

function requireEnd({ number }: Line, end: Json | undefined): End {
  const wrong = () => badLine(number, "it is no end");
  if (typeof end !== "object" || end === null || Array.isArray(end)) throw wrong();
  const { audit, counts, sha256 } = end;
  if (Object.keys(end).length !== 3 || typeof sha256 !== "string" || !HEX_64.test(sha256)) throw wrong();
  if (typeof counts !== "object" || counts === null || Array.isArray(counts)) throw wrong();
  if (audit !== null && !isHead(audit)) throw wrong();
  return { audit, counts: counts as Record<string, number>, sha256 };
}

function isHead(value: Json | undefined): value is Json & ArchivedHead {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { key_id, seal, seq } = value;
  if (typeof key_id !== "string" || !/^[0-9a-f]{8}$/.test(key_id)) return false;
  return typeof seal === "string" && HEX_64.test(seal) && Number.isSafeInteger(seq) && Object.keys(value).length === 3;
}
