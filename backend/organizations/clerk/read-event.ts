import { text } from "./read-claims";
import { roleKey } from "./roles";

/** What a webhook of Clerk's tells, and when it happened there. */
export type ClerkEvent =
  | { kind: "organization"; orgId: string; name: string; createdBy: string | null; at: Date }
  | { kind: "organization_deleted"; orgId: string; at: Date }
  | { kind: "seat"; orgId: string; orgName: string; userId: string; role: string; name: string | null; at: Date }
  | { kind: "seat_left"; orgId: string; orgName: string; userId: string; at: Date }
  | { kind: "person"; userId: string; name: string | null; email: string | null; at: Date }
  | { kind: "person_deleted"; userId: string; at: Date };

/** A signed event that lacks what its type promises. */
export class BadEvent extends Error {}

type Json = Record<string, unknown>;

/** Null for a type that changes nothing here. Throws BadEvent. */
export function readEvent(event: Json): ClerkEvent | null {
  const data = object(event.data);
  switch (event.type) {
    case "organization.created":
    case "organization.updated":
      return {
        kind: "organization",
        orgId: id("org", data.id),
        name: text(data.name) ?? "Organization",
        createdBy: data.created_by === undefined || data.created_by === null ? null : id("user", data.created_by),
        at: at(event),
      };
    case "organization.deleted":
      return { kind: "organization_deleted", orgId: id("org", data.id), at: at(event) };
    case "organizationMembership.created":
    case "organizationMembership.updated":
      return { kind: "seat", ...place(data), role: role(data.role), name: personName(person(data)), at: at(event) };
    case "organizationMembership.deleted":
      return { kind: "seat_left", ...place(data), at: at(event) };
    case "user.created":
    case "user.updated":
      return {
        kind: "person",
        userId: id("user", data.id),
        name: personName(data) ?? text(data.username),
        email: primaryEmail(data),
        at: at(event),
      };
    case "user.deleted":
      return { kind: "person_deleted", userId: id("user", data.id), at: at(event) };
    default:
      return null;
  }
}

/** When it happened: the delivery's own time may be hours later, when earlier attempts failed. */
function at(event: Json): Date {
  const ms = event.timestamp ?? object(event.data).updated_at;
  if (typeof ms !== "number" || !Number.isSafeInteger(ms) || ms <= 0 || ms > TIME_MS_MAX) throw new BadEvent("no time");
  return new Date(ms);
}
/** The last time that a date can hold. */
const TIME_MS_MAX = 8_640_000_000_000_000;

function place(data: Json) {
  const organization = object(data.organization);
  const orgName = text(organization.name) ?? "Organization";
  return { orgId: id("org", organization.id), orgName, userId: id("user", person(data).user_id) };
}

function person(data: Json): Json {
  return object(data.public_user_data);
}

/** First and last name; nobody is called by an e-mail address or a telephone number. */
function personName(data: Json): string | null {
  return text([data.first_name, data.last_name].map(text).filter(Boolean).join(" "));
}

function primaryEmail(data: Json): string | null {
  const all = Array.isArray(data.email_addresses) ? data.email_addresses.map(object) : [];
  return text(all.find((email) => email.id === data.primary_email_address_id)?.email_address);
}

function role(value: unknown): string {
  if (typeof value !== "string" || value === "") throw new BadEvent("no role");
  return roleKey(value);
}

function id(prefix: "org" | "user", value: unknown): string {
  if (typeof value !== "string" || !new RegExp(`^${prefix}_[A-Za-z0-9]{1,100}$`).test(value))
    throw new BadEvent("no id");
  return value;
}

function object(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}
