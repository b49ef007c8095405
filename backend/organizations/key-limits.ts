import { type APIError, ErrCode } from "encore.dev/api";
import { invalid, problem } from "../lib/errors";
import type { Caller } from "./authenticate";
import { ownerRequired } from "./enforce-policy";
import type { Role } from "./policy";
import { ACTIONS, beyond, parseScope } from "./scopes";

const SCOPES_MAX = 50;

/** Refuses scopes that are none. */
export function checkScopes(scopes: readonly string[]): void {
  const unknown = scopes.filter((scope) => parseScope(scope) === null);
  if (scopes.length > 0 && scopes.length <= SCOPES_MAX && unknown.length === 0) return;
  throw invalid(
    "bad_scope",
    unknown.length > 0 ? "scopes: some of these are none." : `scopes: 1 to ${SCOPES_MAX}.`,
    "Write resource:action, or resource:<id>:action for one thread or agent; * is any, or everything.",
    { unknown, resources: ACTIONS, context: null },
  );
}

/** A key makes no key that may do more than it may itself: neither by its scopes nor by the role of its person. */
export function requireNoMore(who: Caller, key: { scopes: readonly string[]; role: Role }): void {
  if (key.role === "owner" && who.role !== "owner") throw ownerRequired();
  const more = beyond(who.scopes, key.scopes);
  if (more.length > 0) throw scopeBeyondOwn(who, more);
}

/**
 * Whether an admin makes a key for somebody else. Whoever makes a key can keep it, and its role is its person's of the moment: so that no admin
 * becomes an owner by waiting until a person is made one, such a key is an admin's at most.
 */
export function isAdminForOther(who: Caller, userId: string): boolean {
  return who.role !== "owner" && userId !== who.userID;
}

function scopeBeyondOwn(who: Caller, more: string[]): APIError {
  return problem(
    ErrCode.PermissionDenied,
    "scope_beyond_own",
    "A key makes no key that may do more than it may itself.",
    "Leave out what details.beyond names, or use a key that has it.",
    { beyond: more, scopes: who.scopes, context: null },
  );
}
