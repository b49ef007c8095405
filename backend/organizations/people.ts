import { api, type Header } from "encore.dev/api";
import type { Max, MaxLen, Min, MinLen } from "encore.dev/validate";
import { actorOf, appendAudit } from "../audit/append-audit";
import { type Tx, tenant, tenantPage } from "../db/tenant";
import { marked, runOnce } from "../lib/idempotency";
import { newId } from "../lib/ids";
import { whole } from "../lib/whole";
import { caller } from "./caller";
import { requireOwner } from "./enforce-policy";
import type { Role } from "./policy";

const PAGE_DEFAULT = 50;

export interface Person {
  id: string;
  name: string;
  role: Role;
  created_at: string;
}

interface AddPersonRequest {
  name: string & MinLen<1> & MaxLen<200>;
  /** `member` by default. Owners are made by owners. */
  role?: Role;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface AddPersonResponse extends Person {
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Adds a person to the organization, as a member unless another role is said. They can then take part in threads. */
export const addPerson = api(
  { expose: true, auth: true, method: "POST", path: "/people" },
  async ({ name, role = "member", idempotency_key: key }: AddPersonRequest): Promise<AddPersonResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    if (role === "owner") requireOwner(who);
    const id = newId("user");
    const once = { orgId: orgID, caller: userID, key, request: ["POST /people", name, role] };
    const add = async (tx: Tx): Promise<Person> => {
      await tx.exec`insert into users (org_id, id, name) values (${orgID}, ${id}, ${name})`;
      const row = await tx.queryRow<{ created_at: Date }>`
        insert into members (org_id, user_id, role) values (${orgID}, ${id}, ${role}) returning created_at`;
      const target = { type: "person", id };
      await appendAudit(tx, {
        orgId: orgID,
        actor: actorOf(who),
        action: "member.added",
        target,
        change: { role },
      });
      return { id, name, role, created_at: row?.created_at.toISOString() ?? "" };
    };
    return marked(await tenant(orgID, (tx) => runOnce(tx, once, () => add(tx))));
  },
);

interface ListPeopleRequest {
  limit?: number & (Min<1> & Max<200>);
  /** `next_cursor` of the page before. */
  cursor?: string & MaxLen<64>;
}

interface ListPeopleResponse {
  people: Person[];
  /** Null on the last page. */
  next_cursor: string | null;
}

/** The organization's people, in the order they came. */
export const listPeople = api(
  { expose: true, auth: true, method: "GET", path: "/people" },
  async ({ limit = PAGE_DEFAULT, cursor = "" }: ListPeopleRequest): Promise<ListPeopleResponse> => {
    const { orgID } = caller();
    whole("limit", limit);
    const rows = await tenantPage(
      orgID,
      (tx) => tx.queryAll<{ id: string; name: string; role: Person["role"]; created_at: Date }>`
        select u.id, u.name, m.role, m.created_at from members m cross join lateral (
          select id, name from users where org_id = m.org_id and id = m.user_id limit 1) u
        where m.org_id = ${orgID} and m.user_id > ${cursor} order by m.user_id limit ${limit + 1}`,
    );
    const people = rows.slice(0, limit).map((row) => ({ ...row, created_at: row.created_at.toISOString() }));
    return { people, next_cursor: rows.length > limit ? (people.at(-1)?.id ?? null) : null };
  },
);
