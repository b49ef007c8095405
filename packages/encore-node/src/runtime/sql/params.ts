/** Parameters as Encore's driver converts them, by the type that PostgreSQL wants (val.rs `to_sql`). */

import { canonicalDecimal } from "../decimal.js";
import { encodeJson, numberText } from "../json/write.js";
import { parseRfc3339, rfc3339 } from "../schema/datetime.js";
import { driverError } from "./errors.js";
import type { PgType } from "./types.js";

const RANGE: Record<string, [bigint, bigint, string]> = {
  int2: [-32768n, 32767n, "i16"],
  int4: [-2147483648n, 2147483647n, "i32"],
  int8: [-9223372036854775808n, 9223372036854775807n, "i64"],
  oid: [0n, 4294967295n, "u32"],
};
const UUID = /^\{?[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\}?$/;

/** Text for the wire; null is SQL NULL. Throws the driver's cause. */
export function toParam(value: unknown, type: PgType): string | null {
  if (value instanceof Uint8Array) return bytesParam(value, type);
  return pvalueParam(value, type);
}

function bytesParam(value: Uint8Array, type: PgType): string {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return type.name === "bytea" ? `\\x${bytes.toString("hex")}` : bytes.toString("utf8");
}

function pvalueParam(value: unknown, type: PgType): string | null {
  // A JSON column gets JSON of whatever it is: of null the JSON null, of a string a JSON string.
  if (type.name === "json" || type.name === "jsonb") return encodeJson(value);
  switch (typeof value) {
    case "boolean":
      if (type.name === "bool" || isText(type)) return String(value);
      throw notSupported("bool", type);
    case "string":
      return stringParam(value, type);
    case "number":
      if (!Number.isFinite(value)) encodeJson(value);
      return numberParam(value, type);
    case "bigint":
      return decimalParam(String(value), type);
    case "object":
      if (value === null) return null;
      if (Array.isArray(value)) return arrayParam(value, type);
      if (value instanceof Date) return dateParam(value, type);
      if ("__encore_decimal" in value) return decimalParam(canonicalDecimal(String(value)), type);
      encodeJson(value);
      throw notSupported("object", type);
    default:
      encodeJson(value);
      return null;
  }
}

function isText(type: PgType): boolean {
  return type.name === "text" || type.name === "varchar";
}

function notSupported(what: string, type: PgType): Error {
  return new Error(`${what} not supported for column of type ${type.name}`);
}

function stringParam(s: string, type: PgType): string {
  if (type.kind === "enum" || isText(type) || type.name === "name") return s;
  if (type.kind === "vector") return s;
  switch (type.name) {
    case "bytea":
      return `\\x${Buffer.from(s).toString("hex")}`;
    case "timestamptz": {
      const ms = parseRfc3339(s);
      if (typeof ms === "string") throw new Error(ms);
      return s;
    }
    case "timestamp":
      if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$/.test(s)) throw new Error("input contains invalid characters");
      return s;
    case "date":
      if (!/^\d{4}-\d\d?-\d\d?$/.test(s))
        throw new Error(s.length < 8 ? "premature end of input" : "input contains invalid characters");
      return s;
    case "time":
      if (!/^\d\d?:\d\d?:\d\d?$/.test(s)) throw new Error("input contains invalid characters");
      return s;
    case "uuid":
      if (!UUID.test(s)) throw new Error("unable to parse uuid");
      return s;
    case "cidr":
    case "inet":
      return s;
    case "numeric":
      return canonicalDecimal(s);
    default:
      throw notSupported("string", type);
  }
}

function numberParam(n: number, type: PgType): string {
  const range = RANGE[type.name];
  if (range) {
    if (!Number.isInteger(n)) throw new Error(`number ${n} is not an ${range[2]}`);
    const i = BigInt(n);
    if (i < range[0] || i > range[1]) throw new Error("out of range integral type conversion attempted");
    return i.toString();
  }
  switch (type.name) {
    case "float4":
    case "float8":
      return String(n);
    case "numeric":
      return canonicalDecimal(numberText(n));
    case "text":
    case "varchar":
      return numberText(n);
    default:
      throw notSupported("number", type);
  }
}

function decimalParam(s: string, type: PgType): string {
  const range = RANGE[type.name];
  if (range && type.name !== "oid") {
    const whole = /^-?\d+$/.test(s) ? BigInt(s) : null;
    if (whole === null || whole < range[0] || whole > range[1])
      throw new Error(`Cannot convert decimal to ${type.name.toUpperCase()}`);
    return s;
  }
  if (["numeric", "float4", "float8", "text", "varchar"].includes(type.name)) return s;
  throw new Error(`unsupported type for Decimal: ${type.name}`);
}

function dateParam(d: Date, type: PgType): string {
  const iso = rfc3339(d, "+00:00");
  switch (type.name) {
    case "date":
      return iso.slice(0, 10);
    case "timestamp":
      return iso.slice(0, -6);
    case "timestamptz":
    case "text":
    case "varchar":
      return iso;
    default:
      throw new Error(`unsupported type for DateTime: ${type.name}`);
  }
}

function arrayParam(list: unknown[], type: PgType): string {
  if (type.kind === "vector") {
    if (!list.every((v) => typeof v === "number")) throw new Error("vector element must be a number");
    return JSON.stringify(list);
  }
  const element = type.element;
  if (type.kind !== "array" || !element) throw notSupported("array", type);
  const items = list.map((v) => {
    const text = pvalueParam(v, element);
    return text === null ? "NULL" : `"${text.replace(/[\\"]/g, "\\$&")}"`;
  });
  return `{${items.join(",")}}`;
}

/** All parameters of a statement; throws what the driver throws. */
export function encodeParams(args: readonly unknown[], types: PgType[]): (string | null)[] {
  if (args.length !== types.length) throw driverError(`expected ${types.length} parameters but got ${args.length}`);
  return args.map((value, i) => {
    const type = types[i] as PgType;
    if (type.kind === "other") {
      throw driverError(
        `error serializing parameter ${i}: cannot convert between the Rust type \`encore_runtime_core::sqldb::val::RowValue\` and the Postgres type \`${type.name}\``,
      );
    }
    try {
      return toParam(value, type);
    } catch (e) {
      throw driverError(`error serializing parameter ${i}: ${(e as Error).message}`);
    }
  });
}
