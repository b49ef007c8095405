/** Column values as Encore hands them to JavaScript (val.rs `from_sql`, sqldb.rs `Row.values`), from PostgreSQL's text. */

import { makeDecimal } from "../decimal.js";
import { decodeAny } from "../json/decode.js";
import type { PgType } from "./types.js";

export type ColumnParser = (text: string) => unknown;

const LONG_NUMBER = /\d{16}/;

export function columnParser(type: PgType): ColumnParser | null {
  if (type.kind === "enum") return (s) => s;
  if (type.kind === "vector") return (s) => JSON.parse(s) as unknown;
  if (type.kind === "array") {
    const item = type.element ? columnParser(type.element) : null;
    return item ? (s) => parseArray(s, item) : null;
  }
  if (type.kind === "other") return null;
  switch (type.name) {
    case "bool":
      return (s) => s === "t";
    case "int2":
    case "int4":
    case "oid":
      return Number;
    case "int8":
      return (s) => {
        const n = Number(s);
        return Number.isSafeInteger(n) ? n : BigInt(s);
      };
    case "float4":
      return (s) => finite(Math.fround(Number(s)));
    case "float8":
      return (s) => finite(Number(s));
    case "numeric":
      return makeDecimal;
    case "json":
    case "jsonb":
      return (s) => (LONG_NUMBER.test(s) ? decodeAny(s) : (JSON.parse(s) as unknown));
    case "timestamptz":
    case "timestamp":
      return parseTimestamp;
    case "time":
      return (s) => padFraction(s);
    case "bytea":
      return parseBytea;
    default:
      return (s) => s;
  }
}

/** NaN and the infinities have no JSON number; Encore gives null. */
function finite(n: number): number | null {
  return Number.isFinite(n) ? n : null;
}

function parseBytea(s: string): ArrayBuffer {
  const bytes = Buffer.from(s.slice(2), "hex");
  const out = new ArrayBuffer(bytes.length);
  bytes.copy(Buffer.from(out));
  return out;
}

const TIMESTAMP =
  /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)?( BC)?$/;

function parseTimestamp(s: string): Date {
  const m = TIMESTAMP.exec(s);
  if (!m) throw new Error(`value out of range: ${s}`);
  const n = (i: number): number => Number(m[i] ?? 0);
  const year = m[12] ? 1 - n(1) : n(1);
  const ms = Math.floor(Number(`0.${m[7] ?? 0}`) * 1000 + 1e-6);
  const date = new Date(0);
  date.setUTCFullYear(year, n(2) - 1, n(3));
  date.setUTCHours(n(4), n(5), n(6), ms);
  if (!m[8]) return date;
  const offset = (n(9) * 3600 + n(10) * 60 + n(11)) * 1000;
  return new Date(date.getTime() + (m[8] === "+" ? -offset : offset));
}

/** chrono prints 0, 3, 6 or 9 digits. */
function padFraction(s: string): string {
  const [whole, fraction] = s.split(".");
  if (!fraction) return s;
  return `${whole}.${fraction.padEnd(Math.ceil(fraction.length / 3) * 3, "0")}`;
}

/** PostgreSQL's array text; only one dimension is read, as Encore does. */
export function parseArray(s: string, item: ColumnParser): unknown[] {
  const out: unknown[] = [];
  let i = s.indexOf("{") + 1;
  while (i < s.length && s[i] !== "}") {
    if (s[i] === ",") {
      i++;
      continue;
    }
    if (s[i] === "{") throw new Error("array contains too many dimensions");
    if (s[i] === '"') {
      let text = "";
      for (i++; s[i] !== '"'; i++) {
        if (s[i] === "\\") i++;
        text += s[i];
      }
      i++;
      out.push(item(text));
      continue;
    }
    let end = i;
    while (s[end] !== "," && s[end] !== "}") end++;
    const text = s.slice(i, end);
    out.push(text === "NULL" ? null : item(text));
    i = end;
  }
  return out;
}
