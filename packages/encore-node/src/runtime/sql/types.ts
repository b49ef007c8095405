/** PostgreSQL types that Encore's driver carries (runtimes/core/src/sqldb/val.rs); others are refused as it refuses them. */

export interface PgType {
  oid: number;
  name: string;
  kind: "base" | "array" | "enum" | "vector" | "other";
  element: PgType | null;
}

const BASE: Record<number, string> = {
  16: "bool",
  17: "bytea",
  19: "name",
  20: "int8",
  21: "int2",
  23: "int4",
  25: "text",
  26: "oid",
  114: "json",
  650: "cidr",
  700: "float4",
  701: "float8",
  869: "inet",
  1043: "varchar",
  1082: "date",
  1083: "time",
  1114: "timestamp",
  1184: "timestamptz",
  1700: "numeric",
  2950: "uuid",
  3802: "jsonb",
};
const ARRAYS: Record<number, number> = {
  199: 114,
  651: 650,
  1000: 16,
  1001: 17,
  1003: 19,
  1005: 21,
  1007: 23,
  1009: 25,
  1015: 1043,
  1016: 20,
  1021: 700,
  1022: 701,
  1028: 26,
  1041: 869,
  1115: 1114,
  1182: 1082,
  1183: 1083,
  1185: 1184,
  1231: 1700,
  2951: 2950,
  3807: 3802,
};

const known = new Map<number, PgType>();

export function typeOf(oid: number): PgType | undefined {
  const cached = known.get(oid);
  if (cached) return cached;
  const name = BASE[oid];
  if (name) return remember({ oid, name, kind: "base", element: null });
  const element = ARRAYS[oid];
  if (element === undefined) return undefined;
  const item = typeOf(element) as PgType;
  return remember({ oid, name: `_${item.name}`, kind: "array", element: item });
}

export function remember(type: PgType): PgType {
  known.set(type.oid, type);
  return type;
}

/** What pg_type says of types that are not built in: enums, vectors, their arrays. */
export const TYPE_QUERY = `select t.oid::int4 as oid, t.typname, t.typtype, t.typelem::int4 as typelem, t.typcategory
from pg_type t where t.oid = any($1::oid[])`;

export interface TypeRow {
  oid: string;
  typname: string;
  typtype: string;
  typelem: string;
  typcategory: string;
}

export function kindOf(row: TypeRow): PgType["kind"] {
  if (row.typtype === "e") return "enum";
  if (row.typname === "vector") return "vector";
  return row.typcategory === "A" && row.typelem !== "0" ? "array" : "other";
}
