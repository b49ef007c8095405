import type { Caller } from "./authenticate";
import { adminRequired, passedCaller } from "./enforce-policy";

/** Who is calling, in an endpoint with `auth: true`; policy.ts has let them through. */
export function caller(): Caller {
  return passedCaller();
}

/** The caller, refused unless an owner or admin: for what only some calls of an endpoint do. What all of them do stands in policy.ts. */
export function adminCaller(): Caller {
  const who = caller();
  if (who.role !== "owner" && who.role !== "admin") throw adminRequired();
  return who;
}
