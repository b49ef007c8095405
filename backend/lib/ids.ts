import { typeid } from "typeid-js";

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
  | "turn"
  | "agent"
  | "agver"
  | "capture"
  | "call";

export function newId(prefix: IdPrefix): string {
  return typeid(prefix).toString();
}

const SUFFIX = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** Whether `value` has the form of an id of this kind. A foreign or made-up id can have it: only the database knows more. */
export function isId(prefix: IdPrefix, value: string): boolean {
  return value.startsWith(`${prefix}_`) && SUFFIX.test(value.slice(prefix.length + 1));
}
