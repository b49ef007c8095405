import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { ok } from "../harness/organization";
import type { Server } from "../harness/server";
import {
  clerkId,
  deliver,
  inOrganization,
  membership,
  membersOf,
  newInstance,
  seconds,
  sessionToken,
  startWithClerk,
  withToken,
} from "../organizations/clerk";

const clerk = newInstance();
let server: Server;
beforeAll(async () => {
  server = await startWithClerk(clerk);
});
afterAll(() => server?.stop());

const tell = async (type: string, data: object, at = Date.now()) =>
  (await deliver(server, clerk, { type, data, at })).body.outcome;
const tokenOf = (sub: string, org: string, rol: string, iat = seconds(-1)) =>
  sessionToken(clerk, { sub, iat, ...inOrganization(org, rol) });
const people = async (token: string) => (await withToken(server, token, "GET", "/people")).status;
const done = (token: string, id: string) =>
  expect
    .poll(async () => (await withToken<{ state: string }>(server, token, "GET", `/erasure/${id}`)).body.state, {
      timeout: 40_000,
      interval: 250,
    })
    .toBe("done");

/** An organization of Clerk's with an owner and an admin. */
async function company() {
  const [org, ada, bob] = [clerkId("org"), clerkId("user"), clerkId("user")];
  const before = Date.now() - 60_000;
  await tell("organization.created", { id: org, name: "Acme Ltd", created_by: ada }, before);
  await tell("organizationMembership.created", membership(org, ada, "org:admin"), before);
  await tell("organizationMembership.created", membership(org, bob, "org:admin"), before);
  return { org, ada, bob, before };
}

describe("erasing people and organizations of Clerk's", () => {
  it("brings nobody back by what Clerk said before: a token that lives yet, or a webhook that comes late (SEC-3, SEC-6)", async () => {
    const { org, ada, bob, before } = await company();
    const [bobs, adas] = [tokenOf(bob, org, "admin"), tokenOf(ada, org, "admin")];
    const other = tokenOf(bob, org, "admin", seconds(-2));
    expect(await people(bobs)).toBe(200);
    const [seat] = await membersOf(bob);
    const audited = await ok(withToken<{ people: { id: string; role: string }[] }>(server, adas, "GET", "/people"));
    const person_id = audited.people.find(({ role }) => role === "admin")?.id;
    expect(seat).toBeDefined();
    expect(await tell("organizationMembership.deleted", membership(org, bob, "org:admin"))).toBe("applied");
    const begun = await ok(withToken<{ id: string }>(server, adas, "POST", "/erasure", { person_id }));
    expect(await people(other)).toBe(401);
    expect(await tell("organizationMembership.updated", membership(org, bob, "org:admin"), before + 30_000)).toBe(
      "outdated",
    );
    expect(await tell("organizationMembership.deleted", membership(org, bob, "org:admin"))).toBe("outdated");
    await done(adas, begun.id);
    expect(await membersOf(bob)).toEqual([]);
    const kept = await adminQuery(
      inject("graphyn").adminUrl,
      "select s.external_id from clerk_seats s join clerk_organizations o using (org_id) where o.external_id = $1 and s.external_id = $2",
      [org, bob],
    );
    expect(kept).toEqual([]);
    // What Clerk says from now on counts: they are a new person.
    expect(await people(tokenOf(bob, org, "admin", seconds()))).toBe(200);
  });

  it("makes no organization again that is being erased, nor one that was, by a word of before (SEC-3, SEC-6)", async () => {
    const { org, ada, bob, before } = await company();
    const [adas, bobs] = [tokenOf(ada, org, "admin"), tokenOf(bob, org, "admin")];
    const body = { organization: true, confirm: "Acme Ltd" };
    const { receipt_token } = await ok(withToken<{ receipt_token: string }>(server, adas, "POST", "/erasure", body));
    expect(await people(bobs)).toBe(401);
    const ended = async () =>
      (
        await withToken<{ state: string }>(server, "", "GET", "/erasure-receipt", undefined, {
          "x-receipt-token": receipt_token,
        })
      ).body.state;
    await expect.poll(ended, { timeout: 40_000, interval: 250 }).toBe("done");
    expect(await people(bobs)).toBe(401);
    expect(await tell("organizationMembership.created", membership(org, bob), before + 1)).toBe("outdated");
    expect(await tell("organization.updated", { id: org, name: "Acme" }, before + 1)).toBe("outdated");
    const there = "select external_id from clerk_organizations where external_id = $1";
    expect(await adminQuery(inject("graphyn").adminUrl, there, [org])).toEqual([]);
  });
});
