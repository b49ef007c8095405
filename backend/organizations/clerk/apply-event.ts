import { tenant } from "../../db/tenant";
import { orgIdOf } from "./clerk-ids";
import { bringName, keepName, ownOrganization, writePlace } from "./own-organization";
import type { ClerkEvent } from "./read-event";
import {
  closeOrganization,
  holdOrganization,
  leaveSeat,
  nameOrganization,
  namePerson,
  setCreator,
  takeSeat,
} from "./seats";
import { inClerksName } from "./tell";

/**
 * Brings organizations and members in step with one event of Clerk's. False when it was no news: it came before, or a newer word did. Can
 * be repeated and broken off anywhere: each part counts for itself.
 */
export async function applyEvent(event: ClerkEvent, issuer: string): Promise<boolean> {
  const { at } = event;
  if (event.kind === "person") return renamePerson(event, issuer);
  if (event.kind === "person_deleted") return removePerson(event, issuer);

  const orgId = orgIdOf(issuer, event.orgId);
  const named = (name: string) => ({ externalId: event.orgId, name });
  switch (event.kind) {
    case "organization":
      return inClerksName(orgId, async (tx, tell) => {
        const { isDeleted, createdBy } = await holdOrganization(tx, tell, orgId, named(event.name), at);
        if (isDeleted) return false;
        const isFirstTold = event.createdBy !== null && createdBy === null;
        if (isFirstTold && event.createdBy) await setCreator(tx, tell, orgId, event.createdBy);
        return (await nameOrganization(tx, tell, orgId, event.name, at)) || isFirstTold;
      });
    case "organization_deleted":
      return inClerksName(orgId, async (tx, tell) => {
        const { isErased } = await holdOrganization(tx, tell, orgId, named("Deleted organization"), at);
        return !isErased && closeOrganization(tx, tell, orgId, at);
      });
    case "seat": {
      const { userId: externalId, role, name } = event;
      if (!(await writePlace(issuer, externalId, orgId))) return false;
      const isNews = await inClerksName(orgId, async (tx, tell) => {
        const known = await holdOrganization(tx, tell, orgId, named(event.orgName), at);
        const isTaken = await takeSeat(tx, tell, orgId, known, { externalId, role, at });
        if (name) await namePerson(tx, tell, orgId, { externalId, name, email: null, at });
        return isTaken;
      });
      if (isNews) await bringName(issuer, externalId, orgId);
      return isNews;
    }
    case "seat_left":
      return inClerksName(orgId, async (tx, tell) => {
        const { isErased } = await holdOrganization(tx, tell, orgId, named(event.orgName), at);
        return !isErased && leaveSeat(tx, tell, orgId, { externalId: event.userId, at });
      });
    default:
      return event satisfies never;
  }
}

/** The person's places, their own included. */
async function placesOf(issuer: string, clerkUserId: string): Promise<string[]> {
  const { orgId } = ownOrganization(issuer, clerkUserId);
  const rows = await tenant(
    orgId,
    (tx) => tx.queryAll<{ id: string }>`select place_org_id as id from clerk_places where org_id = ${orgId}`,
  );
  return [orgId, ...rows.map(({ id }) => id)];
}

/** First the name is kept: a place that is made now takes it from there. */
async function renamePerson(event: ClerkEvent & { kind: "person" }, issuer: string): Promise<boolean> {
  const { userId: externalId, name, email, at } = event;
  if (name === null) return false;
  let isNews = await keepName(issuer, { externalId, name, email, at });
  for (const orgId of await placesOf(issuer, externalId)) {
    const isNewHere = await inClerksName(orgId, (tx, tell) =>
      namePerson(tx, tell, orgId, { externalId, name, email, at }),
    );
    isNews ||= isNewHere;
  }
  return isNews;
}

/** First their own organization is closed: from then on nobody writes down a further place. */
async function removePerson(event: ClerkEvent & { kind: "person_deleted" }, issuer: string): Promise<boolean> {
  const { userId: externalId, at } = event;
  const own = ownOrganization(issuer, externalId);
  let isNews = await inClerksName(own.orgId, async (tx, tell) => {
    const { isErased } = await holdOrganization(tx, tell, own.orgId, own, at);
    return !isErased && closeOrganization(tx, tell, own.orgId, at);
  });
  for (const orgId of await placesOf(issuer, externalId)) {
    const isNewHere = await inClerksName(orgId, (tx, tell) => leaveSeat(tx, tell, orgId, { externalId, at }));
    isNews ||= isNewHere;
  }
  return isNews;
}
