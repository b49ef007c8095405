import { createHash } from "node:crypto";
import { TypeID, typeid } from "typeid-js";

/**
 * Ids are TypeIDs (https://github.com/jetify-com/typeid): a prefix that says what it names, and a UUIDv7, so that ids sort by
 * the time they were made.
 */
export type IdPrefix =
  | "tab"
  | "conn"
  | "org"
  | "user"
  | "key"
  | "thread"
  | "part"
  | "msg"
  | "inv"
  | "turn"
  | "agent"
  | "agver"
  | "capture"
  | "call"
  | "erasure";

export function newId(prefix: IdPrefix): string {
  return typeid(prefix).toString();
}

/** The one id that belongs to a text: the same for the same text. It does not say when it was made. */
export function idOf(prefix: IdPrefix, text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80; // UUID version 8: made by a rule of one's own (RFC 9562)
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return TypeID.fromUUIDBytes(prefix, bytes).toString();
}

/** After every id of this kind, in every collation: where a list begins that has the newest first. */
export function afterAll(prefix: IdPrefix): string {
  return `${prefix}_${"z".repeat(26)}`;
}

const SUFFIX = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** Whether `value` has the form of an id of this kind. A foreign or made-up id can have it: only the database knows more. */
export function isId(prefix: IdPrefix, value: string): boolean {
  return value.startsWith(`${prefix}_`) && SUFFIX.test(value.slice(prefix.length + 1));
}
