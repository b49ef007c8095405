import type { Tx } from "../../db/tenant";
import { newId } from "../../lib/ids";
import type { Caller } from "../authenticate";
import { isErased, leaveErasedSeat, wasErasedSince } from "./erased";
import { roleOf } from "./roles";
import type { Tell } from "./tell";

/**
 * Clerk's organizations and their people here. What Clerk says comes in two ways, by tokens and by webhooks, each with the time it was said,
 * and each in any order, twice, or never. So every word is kept with its time, and only a newer one changes anything.
 */

/** One of Clerk's organizations, or a person's own one. */
export interface ClerkOrganization {
  /** Clerk's id: `org_…`, or `user_…` for a person's own. */
  externalId: string;
  /** For one that is seen for the first time. */
  name: string;
}

interface Known {
  /** Clerk has it no more, or it was erased here: nobody takes a seat. */
  isDeleted: boolean;
  /** It was erased: no row of it is there, or soon none will be. */
  isErased: boolean;
  createdBy: string | null;
}

/**
 * Makes the organization if it is not there, and holds it for this transaction: who else has a word on it waits. `at` is when Clerk said so
 * of it: one that was erased since is not made again.
 */
export async function holdOrganization(
  tx: Tx,
  tell: Tell,
  orgId: string,
  { externalId, name }: ClerkOrganization,
  at: Date | null = null,
): Promise<Known> {
  const erased = { isDeleted: true, isErased: true, createdBy: null };
  if (await isErased(tx, orgId, at)) return erased;
  const isNew = await tx.queryRow`
    insert into organizations (org_id, name) values (${orgId}, ${name}) on conflict (org_id) do nothing returning org_id`;
  if (isNew)
    tell({ action: "organization.created", target: organizationTarget(orgId), change: { clerk_id: externalId } });
  await tx.exec`
    insert into clerk_organizations (org_id, external_id) values (${orgId}, ${externalId}) on conflict (org_id) do nothing`;
  const row = await tx.queryRow<{ deleted: boolean; created_by: string | null }>`
    select deleted_at is not null as deleted, created_by from clerk_organizations where org_id = ${orgId} for update`;
  if (!row) throw new Error("the organization was not kept");
  if (await isErased(tx, orgId, at)) return erased; // it was asked for while this waited
  return { isDeleted: row.deleted, isErased: false, createdBy: row.created_by };
}

/** A person has this role in the organization, as Clerk said at that time. False when that is not news. The organization is held. */
export async function takeSeat(
  tx: Tx,
  tell: Tell,
  orgId: string,
  { isDeleted, createdBy }: Pick<Known, "isDeleted" | "createdBy">,
  word: { externalId: string; role: string; at: Date },
): Promise<boolean> {
  const { externalId, role, at } = word;
  if (isDeleted || (await wasErasedSince(tx, orgId, externalId, at))) return false;
  const isNews = await tx.queryRow`
    insert into clerk_seats as s (org_id, external_id, role, said_at) values (${orgId}, ${externalId}, ${role}, ${at})
    on conflict (org_id, external_id) do update set role = excluded.role, said_at = excluded.said_at, removed = false
      where s.said_at < excluded.said_at
    returning org_id`;
  if (!isNews) return false;
  const user = await tx.queryRow<{ id: string }>`
    insert into users (org_id, id, name, external_id) values (${orgId}, ${newId("user")}, ${NAME_UNKNOWN}, ${externalId})
    on conflict (org_id, external_id) do update set external_id = excluded.external_id
    returning id`;
  await setRole(tx, tell, orgId, user?.id ?? "", roleOf(role, externalId === createdBy));
  return true;
}

async function setRole(tx: Tx, tell: Tell, orgId: string, userId: string, role: Caller["role"]): Promise<void> {
  const changed = await tx.queryRow<{ added: boolean }>`
    insert into members as m (org_id, user_id, role) values (${orgId}, ${userId}, ${role})
    on conflict (org_id, user_id) do update set role = excluded.role where m.role <> excluded.role
    returning xmax = 0 as added`;
  if (!changed) return;
  const action = changed.added ? "member.added" : "member.role_changed";
  tell({ action, target: personTarget(userId), change: { role } });
}

const organizationTarget = (id: string) => ({ type: "organization", id });
const personTarget = (id: string) => ({ type: "person", id });

/** A person without a name so far. */
export const NAME_UNKNOWN = "New person";

/** A person has no place there any more; of two words of the same instant, this one counts. Their API keys go with it; what they said stays. */
export async function leaveSeat(
  tx: Tx,
  tell: Tell,
  orgId: string,
  word: { externalId: string; at: Date },
): Promise<boolean> {
  const { externalId, at } = word;
  if (await leaveErasedSeat(tx, orgId, externalId, at)) return false;
  const isNews = await tx.queryRow`
    insert into clerk_seats as s (org_id, external_id, said_at, removed) values (${orgId}, ${externalId}, ${at}, true)
    on conflict (org_id, external_id) do update set said_at = excluded.said_at, removed = true
      where s.said_at <= excluded.said_at and not (s.removed and s.said_at = excluded.said_at)
    returning org_id`;
  if (!isNews) return false;
  const left = await tx.queryRow<{ id: string; keys: number }>`
    delete from members m using users u
    where m.org_id = ${orgId} and (u.org_id, u.id) = (m.org_id, m.user_id) and u.external_id = ${externalId}
    returning u.id, (select count(*)::int from api_keys k where k.org_id = ${orgId} and k.user_id = u.id) as keys`;
  if (left) tell({ action: "member.removed", target: personTarget(left.id), change: { api_keys: left.keys } });
  return true;
}

/** The organization is no more: nobody is in it, and no key opens it. What was said in it stays until it is erased. */
export async function closeOrganization(tx: Tx, tell: Tell, orgId: string, at: Date): Promise<boolean> {
  const isNews = await tx.queryRow`
    update clerk_organizations set deleted_at = ${at} where org_id = ${orgId} and deleted_at is null returning org_id`;
  if (!isNews) return false;
  const left = await tx.queryAll`delete from members where org_id = ${orgId} returning user_id`;
  tell({ action: "organization.closed", target: organizationTarget(orgId), change: { members: left.length } });
  return true;
}

/** Who made it, and so owns it, as far as Clerk's admins do. */
export async function setCreator(tx: Tx, tell: Tell, orgId: string, externalId: string): Promise<void> {
  await tx.exec`
    update clerk_organizations set created_by = ${externalId} where org_id = ${orgId} and created_by is null`;
  const owner = await tx.queryRow<{ id: string }>`
    update members m set role = 'owner' from users u, clerk_seats s
    where m.org_id = ${orgId} and (u.org_id, u.id) = (m.org_id, m.user_id) and u.external_id = ${externalId}
      and s.org_id = ${orgId} and s.external_id = ${externalId} and s.role = 'org:admin' and not s.removed
    returning u.id`;
  if (owner) tell({ action: "member.role_changed", target: personTarget(owner.id), change: { role: "owner" } });
}

export async function nameOrganization(tx: Tx, tell: Tell, orgId: string, name: string, at: Date): Promise<boolean> {
  const isNews = await tx.queryRow`
    update clerk_organizations set named_at = ${at}
    where org_id = ${orgId} and deleted_at is null and (named_at is null or named_at < ${at}) returning org_id`;
  if (!isNews) return false;
  const isOther = await tx.queryRow`
    update organizations set name = ${name} where org_id = ${orgId} and name <> ${name} returning org_id`;
  if (isOther)
    tell({ action: "organization.changed", target: organizationTarget(orgId), change: { changed: ["name"] } });
  return true;
}

export interface NameWord {
  externalId: string;
  name: string;
  email: string | null;
  at: Date;
}

/** A person's name in one organization, also in the threads they take part in. What they said bears the name it was said under. */
export async function namePerson(
  tx: Tx,
  tell: Tell,
  orgId: string,
  { externalId, name, email, at }: NameWord,
): Promise<boolean> {
  const isNews = await tx.queryRow<{ id: string }>`
    update clerk_seats s set named_at = ${at} from users u
    where s.org_id = ${orgId} and s.external_id = ${externalId} and (s.named_at is null or s.named_at < ${at})
      and (u.org_id, u.external_id) = (s.org_id, s.external_id)
    returning u.id`;
  if (!isNews) return false;
  const isOther = await tx.queryRow`
    update users set name = ${name}, email = coalesce(${email}::text, email)
    where org_id = ${orgId} and id = ${isNews.id} and (name <> ${name} or email is distinct from coalesce(${email}::text, email))
    returning id`;
  if (!isOther) return true;
  tell({ action: "member.changed", target: personTarget(isNews.id), change: { changed: ["name"] } });
  await tx.exec`
    update participants set name = ${name}
    where org_id = ${orgId} and user_id = ${isNews.id} and kind = 'user' and left_at is null and name <> ${name}`;
  return true;
}
