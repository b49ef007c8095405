/** A value of JSON, as what is signed or compared is made of. */
export type Json = null | boolean | number | string | Json[] | { [field: string]: Json };

/**
 * One text for equal values, whatever order their fields were set in: JSON without spaces, fields in the order of their UTF-16 code units,
 * numbers and strings as ECMAScript writes them (RFC 8785).
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.keys(value).sort((a, b) => (a < b ? -1 : 1));
  return `{${fields.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name] as Json)}`).join(",")}}`;
}
