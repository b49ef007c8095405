import type { Json } from "../lib/canonical-json";

/**
 * How a column stands in an archive. Null is null for each.
 *   id      a TypeID
 *   text    text as it is
 *   int     a whole number of up to 53 bits; `bigint` is the same, of a wider column
 *   bool    true or false
 *   time    RFC 3339 in UTC with all six digits that PostgreSQL keeps
 *   json    the value itself, canonical
 *   texts   a list of texts
 *   places  PostgreSQL's int8multirange, as text: `{[1,5),[7,)}`
 */
export type Kind = "id" | "text" | "int" | "bigint" | "bool" | "time" | "json" | "texts" | "places";

const ID = /^[a-z]{1,20}_[0-7][0-9a-hjkmnp-tv-z]{25}$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$/;
const PLACES = /^\{(?:\[\d{1,16},\d{0,16}\)(?:,\[\d{1,16},\d{0,16}\))*)?\}$/;

/** PostgreSQL's expression that gives the column as it stands in the archive, in a `jsonb_build_object`. */
export function readAs(kind: Kind, column: string): string {
  if (kind === "time") {
    return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  }
  return kind === "places" ? `${column}::text` : column;
}

/** The type by which `jsonb_to_recordset` reads it back, and the cast that the column then needs. */
export const WRITTEN_AS: Record<Kind, { type: string; cast: string }> = {
  id: { type: "text", cast: "" },
  text: { type: "text", cast: "" },
  int: { type: "int", cast: "" },
  bigint: { type: "bigint", cast: "" },
  bool: { type: "boolean", cast: "" },
  time: { type: "timestamptz", cast: "" },
  json: { type: "jsonb", cast: "" },
  texts: { type: "text[]", cast: "" },
  places: { type: "text", cast: "::int8multirange" },
};

/** PostgreSQL's own name of the type of such a column. */
export const COLUMN_TYPE: Record<Kind, string> = {
  id: "text",
  text: "text",
  int: "integer",
  bigint: "bigint",
  bool: "boolean",
  time: "timestamp with time zone",
  json: "jsonb",
  texts: "text[]",
  places: "int8multirange",
};

/** Whether a value can stand there. What is null where it may not be is for the database to refuse. */
export function fits(kind: Kind, value: Json | undefined): boolean {
  if (value === undefined) return false;
  if (value === null) return true;
  switch (kind) {
    case "id":
      return typeof value === "string" && ID.test(value);
    case "text":
      return typeof value === "string";
    case "int":
    case "bigint":
      return Number.isSafeInteger(value);
    case "bool":
      return typeof value === "boolean";
    case "time":
      return typeof value === "string" && TIME.test(value);
    case "json":
      return true;
    case "texts":
      return Array.isArray(value) && value.every((one) => typeof one === "string");
    case "places":
      return typeof value === "string" && PLACES.test(value);
  }
}
