import type { Caller } from "../authenticate";

/** Clerk's roles that mean more or less than a member; every other one, custom ones too, is a member and nothing more. */
const ROLES: Record<string, Caller["role"]> = {
  "org:owner": "owner",
  "org:admin": "admin",
  "org:guest": "guest",
};

/** Clerk's key of a role, with the prefix that version 2 of its tokens and old versions leave out. */
export function roleKey(role: string): string {
  return role.startsWith("org:") ? role : `org:${role}`;
}

/** Our role for Clerk's. Whoever made the organization owns it while they are its admin. */
export function roleOf(clerkRole: string, isCreator: boolean): Caller["role"] {
  const role = Object.hasOwn(ROLES, clerkRole) ? (ROLES[clerkRole] ?? "member") : "member";
  return role === "admin" && isCreator ? "owner" : role;
}
