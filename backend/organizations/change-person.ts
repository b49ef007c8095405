import { api, ErrCode, type Header } from "encore.dev/api";
import { actorOf, appendAudit } from "../audit/append-audit";
import { type Tx, tenant } from "../db/tenant";
import { problem } from "../lib/errors";
import { marked, runOnce } from "../lib/idempotency";
import type { Caller } from "./authenticate";
import { caller } from "./caller";
import { requireOwner } from "./enforce-policy";
import type { Person } from "./people";
import type { Role } from "./policy";
import { requireMember } from "./require-member";

interface ChangePersonRequest {
  id: string;
  role: Role;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface ChangePersonResponse extends Person {
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Changes a person's role in the organization. Owners make and unmake owners; one stays. What the person has open ends within 5 seconds, to come back as what they are now. */
export const changePerson = api(
  { expose: true, auth: true, method: "PATCH", path: "/people/:id" },
  async ({ id, role, idempotency_key: key }: ChangePersonRequest): Promise<ChangePersonResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const once = { orgId: orgID, caller: userID, key, request: ["PATCH /people/:id", id, role] };
    const change = async (tx: Tx): Promise<Person> => {
      const before = await lockPerson(tx, who, id);
      if (role === "owner") requireOwner(who);
      if (before === "owner" && role !== "owner") await requireAnotherOwner(tx, orgID, id);
      await tx.exec`update members set role = ${role} where org_id = ${orgID} and user_id = ${id}`;
      const row = await tx.queryRow<Person & { created_at: Date }>`
        select u.id, u.name, m.role, m.created_at from members m join users u on (u.org_id, u.id) = (m.org_id, m.user_id)
        where m.org_id = ${orgID} and m.user_id = ${id}`;
      if (before !== role) {
        const target = { type: "person", id };
        const change = { role, before };
        await appendAudit(tx, { orgId: orgID, actor: actorOf(who), action: "member.role_changed", target, change });
      }
      return { id, name: row?.name ?? "", role, created_at: row?.created_at.toISOString() ?? "" };
    };
    return marked(await tenant(orgID, (tx) => runOnce(tx, once, () => change(tx))));
  },
);

interface RemovePersonRequest {
  id: string;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface RemovePersonResponse {
  id: string;
  removed: boolean;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Removes a person from the organization: their keys are gone, and what they have open ends within 5 seconds. What they said stays, under their name, and the threads they took part in say that they left. */
export const removePerson = api(
  { expose: true, auth: true, method: "DELETE", path: "/people/:id" },
  async ({ id, idempotency_key: key }: RemovePersonRequest): Promise<RemovePersonResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const once = { orgId: orgID, caller: userID, key, request: ["DELETE /people/:id", id] };
    const remove = async (tx: Tx) => {
      const role = await lockPerson(tx, who, id);
      if (role === "owner") await requireAnotherOwner(tx, orgID, id);
      await tx.exec`delete from members where org_id = ${orgID} and user_id = ${id}`; // and their keys with them; a job takes them out of threads
      const target = { type: "person", id };
      await appendAudit(tx, { orgId: orgID, actor: actorOf(who), action: "member.removed", target, change: { role } });
      return { id, removed: true };
    };
    return marked(await tenant(orgID, (tx) => runOnce(tx, once, () => remove(tx))));
  },
);

/** The person's role. All changes of an organization's owners wait for each other, so that two of them do not leave none. */
async function lockPerson(tx: Tx, who: Caller, id: string): Promise<Role> {
  await tx.exec`select from members where org_id = ${who.orgID} and role = 'owner' order by user_id for update`;
  const role = await requireMember(tx, who.orgID, id);
  if (role === "owner") requireOwner(who);
  const clerks = await tx.queryRow`
    select 1 as here from users where org_id = ${who.orgID} and id = ${id} and external_id is not null`;
  if (clerks) throw managedByClerk();
  return role;
}

/** Clerk says who they are with every token: what was changed here would be changed back. */
function managedByClerk() {
  return problem(
    ErrCode.FailedPrecondition,
    "managed_by_clerk",
    "This person comes from Clerk, which says what they are in the organization.",
    "Change or remove them in Clerk: it is so here as soon as Clerk has told.",
    { context: null },
  );
}

async function requireAnotherOwner(tx: Tx, orgId: string, id: string): Promise<void> {
  const other = await tx.queryRow`
    select 1 as here from members where org_id = ${orgId} and role = 'owner' and user_id <> ${id} limit 1`;
  if (other) return;
  throw problem(
    ErrCode.FailedPrecondition,
    "last_owner",
    "This person is the organization's last owner.",
    "Make somebody else an owner first: PATCH /people/:id.",
    { context: null },
  );
}
