import { api, ErrCode, type Header } from "encore.dev/api";
import { secret } from "encore.dev/config";
import type { MaxLen, MinLen } from "encore.dev/validate";
import { actorOf, appendAudit } from "../audit/append-audit";
import { type Tx, tenant } from "../db/tenant";
import { invalid, notFound, problem } from "../lib/errors";
import { marked, runOnce } from "../lib/idempotency";
import { isId, newId } from "../lib/ids";
import type { Caller } from "../organizations/authenticate";
import { caller } from "../organizations/caller";
import { rememberErased } from "../organizations/clerk/erased";
import { requireOwner } from "../organizations/enforce-policy";
import { ERASED_NAME, rows } from "./erase-words";
import { startEraser, work } from "./eraser";
import { count, hashToken, newToken } from "./erasure";

const apiKeyHashKey = secret("ApiKeyHashKey");

interface RequestErasureRequest {
  /** Whom to erase: the id of a person of the organization. */
  person_id?: string & MinLen<1> & MaxLen<64>;
  /** `true`: the whole organization. For owners. */
  organization?: boolean;
  /** With `organization`: its name, so that nobody does it by mistake. */
  confirm?: string & MaxLen<200>;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface RequestErasureResponse {
  /** `erasure_…` */
  id: string;
  state: "running" | "done";
  /** Shown once: opens the receipt (GET /erasure-receipt), also when nobody of the organization is left. */
  receipt_token: string;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

startEraser();

/**
 * Erases a person, or the whole organization, for good: what they said, what was answered to it, and what agents learned from it, here and
 * in Letta. At once nobody can act as them any more; the rest takes seconds to minutes and goes on after a crash. GET /erasure/:id says
 * how far it is, and ends with a signed receipt.
 */
export const requestErasure = api(
  { expose: true, auth: true, method: "POST", path: "/erasure" },
  async ({ idempotency_key: key, ...req }: RequestErasureRequest): Promise<RequestErasureResponse> => {
    const who = caller();
    const { orgID: orgId, userID } = who;
    const { person_id = null, organization = false, confirm } = req;
    if ((person_id === null) === !organization) {
      throw invalid(
        "erasure_of_whom",
        "Name one: a person or the organization.",
        "Send person_id, or organization: true.",
        {
          context: null,
        },
      );
    }
    if (organization) requireOwner(who);
    if (person_id !== null && !isId("user", person_id)) throw notFound("person");
    const once = { orgId, caller: userID, key, request: ["POST /erasure", req], sealWith: apiKeyHashKey() };
    const begin = async (tx: Tx): Promise<{ id: string; state: "running"; receipt_token: string }> => {
      // As whoever brings Clerk's word does, so that none slips in beside this.
      await tx.exec`select from clerk_organizations where org_id = ${orgId} for update`;
      if (person_id === null) await requireName(tx, orgId, confirm);
      else await requirePerson(tx, who, person_id);
      const id = newId("erasure");
      const token = newToken(orgId);
      await tx.exec`
        insert into erasures (org_id, id, person_id, step, requested_by, token_hash)
        values (${orgId}, ${id}, ${person_id}::text, 'stop', ${userID}, ${hashToken(token)})`;
      await lockOut(tx, orgId, id, person_id);
      const target = person_id === null ? { type: "organization", id: orgId } : { type: "person", id: person_id };
      await appendAudit(tx, {
        orgId,
        actor: actorOf(who),
        action: "erasure.requested",
        target,
        change: { erasure: id },
      });
      return { id, state: "running", receipt_token: token };
    };
    const begun = await tenant(orgId, (tx) => runOnce(tx, once, () => begin(tx)));
    if (!begun.replayed) void work(orgId, begun.answer.id);
    return marked(begun);
  },
);

async function requireName(tx: Tx, orgId: string, confirm: string | undefined): Promise<void> {
  const row = await tx.queryRow<{ name: string }>`select name from organizations where org_id = ${orgId} for update`;
  await refuseRunning(tx, orgId, null);
  if (row && row.name === confirm) return;
  throw invalid(
    "erasure_not_confirmed",
    "confirm: this is not the organization's name.",
    "Send its name, exactly, as confirm.",
    {
      context: null,
    },
  );
}

async function requirePerson(tx: Tx, who: Caller, personId: string): Promise<void> {
  const { orgID: orgId } = who;
  // All owners are locked, so that two erasures at once do not take the last two.
  const owners = await tx.queryAll<{ user_id: string }>`
    select user_id from members where org_id = ${orgId} and role = 'owner' order by user_id for update`;
  const person = await tx.queryRow`select id from users where org_id = ${orgId} and id = ${personId} for update`;
  if (!person) throw notFound("person");
  await refuseRunning(tx, orgId, personId);
  if (owners.some(({ user_id }) => user_id === personId)) requireOwner(who);
  if (owners.length !== 1 || owners[0]?.user_id !== personId) return;
  throw problem(
    ErrCode.FailedPrecondition,
    "last_owner",
    "This person is the organization's last owner.",
    "Make somebody else an owner first, or erase the organization.",
    { context: null },
  );
}

async function refuseRunning(tx: Tx, orgId: string, personId: string | null): Promise<void> {
  const running = await tx.queryRow<{ id: string }>`
    select id from erasures where org_id = ${orgId} and person_id is not distinct from ${personId}::text and state = 'running'`;
  if (!running) return;
  throw problem(
    ErrCode.Aborted,
    "erasure_running",
    "This is being erased already.",
    "GET /erasure/:id (details.erasure_id) says how far it is.",
    {
      erasure_id: running.id,
      context: null,
    },
  );
}

/** From this commit on nobody acts as them: no member, no key, no name. */
async function lockOut(tx: Tx, orgId: string, id: string, personId: string | null): Promise<void> {
  const whose = personId === null ? "" : "and user_id = $2";
  const values = personId === null ? [orgId] : [orgId, personId];
  const api_keys = await rows(tx, `delete from api_keys where org_id = $1 ${whose}`, values);
  const members = await rows(tx, `delete from members where org_id = $1 ${whose}`, values);
  const credentials =
    personId === null ? await rows(tx, "delete from model_credentials where org_id = $1", [orgId]) : 0;
  // What Clerk calls them says who they are to whoever can ask Clerk.
  const clerks = await tx.queryAll<{ external_id: string }>`
    select external_id from users
    where org_id = ${orgId} and external_id is not null and (${personId}::text is null or id = ${personId}::text)`;
  const externalIds = clerks.map(({ external_id }) => external_id);
  await tx.exec`delete from clerk_seats where org_id = ${orgId} and external_id = any(${externalIds}::text[])`;
  if (personId !== null) await rememberErased(tx, orgId, externalIds);
  // A guest's own retries are kept under who they are at home.
  await tx.exec`
    delete from idempotency_keys where org_id = ${orgId} and caller in (
      select 'home ' || encode(home, 'hex') from users where org_id = ${orgId} and id = ${personId}::text and home is not null)`;
  await tx.exec`
    update clerk_organizations set created_by = null where org_id = ${orgId} and created_by = any(${externalIds}::text[])`;
  await tx.exec`
    update users set name = ${ERASED_NAME}, email = null, external_id = null, home = null, erased_at = now()
    where org_id = ${orgId} and (${personId}::text is null or id = ${personId}::text)`;
  await count(tx, { org_id: orgId, id } as Parameters<typeof count>[1], {
    api_keys,
    members,
    model_credentials: credentials,
  });
}
