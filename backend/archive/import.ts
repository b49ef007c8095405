import type { IncomingMessage, ServerResponse } from "node:http";
import { APIError, api } from "encore.dev/api";
import { secret } from "encore.dev/config";
import log from "encore.dev/log";
import { makeAllImported } from "../agents/make-imported";
import { appendAudit, OPERATOR } from "../audit/append-audit";
import { signingKey } from "../audit/audit-keys";
import { db } from "../db/graphyn";
import { dispatch, type Tx, tenant, tenantPatiently } from "../db/tenant";
import { embeddingsConfigured } from "../lib/embeddings";
import { oneValue } from "../lib/header";
import { marked, type Once, runOnce } from "../lib/idempotency";
import { sameSecret } from "../lib/same-secret";
import { writeProblem } from "../lib/write-problem";
import { wrongAdminKey } from "../organizations/admin-key";
import { insertKey } from "../organizations/insert-key";
import { makeSeats } from "../threads/live/stream-seats";
import { type ParsedEnd, parseArchive, parseHeader } from "./parse-archive";
import { BadLines, type Line, PIECE_MS_MAX, readLines } from "./read-lines";
import { badLine, damaged, importRunning, organizationErased, organizationExists, refusalOf } from "./refused";
import { ARCHIVED } from "./tables";
import { takeArchive } from "./take-archive";

const adminKey = secret("AdminKey");
const apiKeyHashKey = secret("ApiKeyHashKey");

/** Imports under way in this process: each holds a connection, and writes as fast as it can. */
const IMPORTS_MAX = 1;
/** Of a refused archive so long is read on, so that its sender hears why; then the connection is cut. */
const REST_MS_MAX = 10_000;
/** The transaction may stand still a little longer than it waits for the sender. Nobody else knows of the organization yet. */
const STILL_MS_MAX = PIECE_MS_MAX + 10_000;

const seats = makeSeats({ perOrg: IMPORTS_MAX, total: IMPORTS_MAX });

interface ImportOrganizationResponse {
  organization_id: string;
  /** An owner, to whom the key belongs. Null where the organization has none: then people come in by signing in. */
  user_id: string | null;
  /** Shown once; only its hash is stored. */
  api_key: string | null;
  /** Rows that were taken in, of each table. */
  counts: Record<string, number>;
  sha256: string;
}

/**
 * Takes an organization in from the archive that GET /export gave, under its own ids, where it is not here: all of it, in one transaction, or
 * nothing. Its agents are made in Letta after it; what was said they are told anew. For whoever operates the server.
 *
 * @openapi-header X-Admin-Key! The operator's key (the secret AdminKey), not an API key.
 * @openapi-header Idempotency-Key A retry with the same key and archive gets the first answer again, with the same API key in it.
 * @openapi-request application/x-ndjson The archive: lines of canonical JSON as GET /export gave them, up to 8 GiB; docs/export.md has the format.
 * ```
 * {"format":"graphyn.organization","organization_id":"org_01h455vb4pex5vsknk084sn02q","version":1}
 * ```
 * @openapi-response 200 application/json {ImportOrganizationResponse} All of it is here.
 * @openapi-response-header 200 Idempotent-Replayed `true` where the answer was given before, to the same archive with the same Idempotency-Key.
 * @throws invalid_argument Something of the archive is not right (details.reason), and nothing of it is kept.
 * @throws permission_denied The admin key is not right.
 * @throws already_exists The organization is here already.
 * @throws failed_precondition The organization was erased here.
 * @throws aborted The archive did not come in time.
 * @throws resource_exhausted Another import is under way.
 */
export const importOrganization = api.raw(
  { expose: true, method: "POST", path: "/organizations/import", bodyLimit: null },
  async (req, resp) => {
    const leave = seats.take("");
    try {
      if (!sameSecret(oneValue(req.headers["x-admin-key"]) ?? "", adminKey())) throw wrongAdminKey();
      if (!leave) throw importRunning();
      signingKey();
      const { replayed, ...answer } = await importFrom(req);
      resp.writeHead(200, {
        "Content-Type": "application/json",
        ...(replayed ? { "Idempotent-Replayed": "true" } : {}),
      });
      resp.end(JSON.stringify(answer));
    } catch (error) {
      const known = error instanceof BadLines ? refusalOf(error) : error;
      if (!(known instanceof APIError)) log.error("an import failed", { error: nameOf(known) });
      refuse(req, resp, known);
    } finally {
      leave?.();
    }
  },
);

async function importFrom(req: IncomingMessage): Promise<ImportOrganizationResponse & { replayed?: string }> {
  const lines = readLines(req);
  const first = (await lines.next()).value as Line | undefined;
  const { organization_id: orgId } = parseHeader(first);
  if (!first) throw new Error("an archive without a first line has no header");
  const key = oneValue(req.headers["idempotency-key"]);
  const onceOf = ({ sha256 }: ParsedEnd): Once => ({
    orgId,
    caller: "operator",
    key,
    request: ["POST /organizations/import", orgId, sha256],
    sealWith: apiKeyHashKey(),
  });
  if (await isThere(orgId)) {
    // A retry reads to the end, to know that it is one.
    if (key === undefined) throw organizationExists();
    const end = await parseArchive(lines, first, async () => {});
    const known = await tenant(orgId, (tx) =>
      runOnce(tx, onceOf(end), async (): Promise<ImportOrganizationResponse> => {
        throw organizationExists();
      }),
    );
    return marked(known);
  }
  const imported = await tenantPatiently(orgId, STILL_MS_MAX, async (tx) => {
    await begin(tx, orgId);
    const end = await takeArchive(tx, orgId, first, lines);
    return runOnce(tx, onceOf(end), () => finish(tx, orgId, end));
  });
  log.info("an organization was imported", { org_id: orgId, sha256: imported.answer.sha256 });
  void makeAllImported(orgId);
  void readStatistics(imported.answer.counts);
  return marked(imported);
}

async function isThere(orgId: string): Promise<boolean> {
  const row = await tenant(orgId, (tx) => tx.queryRow`select org_id from organizations where org_id = ${orgId}`);
  return row !== null;
}

/** From here on another import of it waits for this one, and is refused. */
async function begin(tx: Tx, orgId: string): Promise<void> {
  const isNew = await tx.queryRow`
    insert into organizations (org_id, name) values (${orgId}, '') on conflict (org_id) do nothing returning org_id`;
  if (!isNew) throw organizationExists();
  const erased = await tx.queryRow`
    select 1 as erased from erasures where org_id = ${orgId} and person_id is null limit 1`;
  if (erased) throw organizationErased();
}

/**
 * PostgreSQL looks by itself at tables that have changed much, but a minute later, and until then plans for what was there before the import.
 * Outside of a tenant's transaction: it is for who owns the tables, as whoever made them does; another login role is told no, and goes on.
 */
async function readStatistics(counts: Record<string, number>): Promise<void> {
  const filled = Object.keys(ARCHIVED).filter((table) => (counts[table] ?? 0) > 0);
  try {
    for (const table of filled) await db.rawExec(`analyze "${table}"`);
  } catch (error) {
    log.warn("the statistics of imported tables were not made", { error: nameOf(error) });
  }
}

/** What is not in an archive and has to be, before anybody sees the organization. */
async function finish(tx: Tx, orgId: string, end: ParsedEnd): Promise<ImportOrganizationResponse> {
  const { audit, counts, sha256 } = end;
  if (counts.organizations !== 1) throw damaged("it has no organization");
  await refuseTurnsOfOthers(tx, orgId);
  // Nothing of it is in Letta: each agent is told its own answers too, when it next hears the thread.
  await tx.exec`
    update turns t set letta_lacks = length(m.content) from messages m
    where t.org_id = ${orgId} and t.ended_at is not null and m.org_id = ${orgId} and m.turn_id = t.id`;
  if (embeddingsConfigured() && (counts.messages ?? 0) > 0)
    await tx.exec`select enqueue_job('embed_imported', jsonb_build_object('after', ''))`;
  const owner = await tx.queryRow<{ user_id: string }>`
    select user_id from members where org_id = ${orgId} and role = 'owner' order by user_id limit 1`;
  const made = owner
    ? await insertKey(tx, { orgId, userId: owner.user_id, name: "import", hashSecret: apiKeyHashKey() })
    : null;
  await appendAudit(tx, {
    orgId,
    actor: OPERATOR,
    action: "organization.imported",
    target: { type: "organization", id: orgId },
    change: {
      ...{ archive: sha256, audit_seq: audit?.seq ?? 0, seal: audit?.seal, seal_key: audit?.key_id },
      ...{ owner: owner?.user_id, key: made?.id },
    },
  });
  return { organization_id: orgId, user_id: owner?.user_id ?? null, api_key: made?.api_key ?? null, counts, sha256 };
}

/** A process knows its turns by their ids alone, and an archive can name any: one under way in another organization is not to be had twice. */
async function refuseTurnsOfOthers(tx: Tx, orgId: string): Promise<void> {
  const live = await tx.queryAll<{ id: string }>`
    select id from turns where org_id = ${orgId} and state in ('queued', 'running')`;
  if (live.length === 0) return;
  const ids = live.map(({ id }) => id);
  const others = await dispatch(
    (all) => all.queryRow`
      select 1 as found from turns where id = any(${ids}::text[]) and org_id <> ${orgId} and state in ('queued', 'running') limit 1`,
  );
  if (others) throw badLine(1, "it is not of this organization");
}

/** What the database says may quote what it was given, which is nobody's to read here. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "unknown";
}

/** The answer goes out at once; who is still sending has some time to finish, because many clients read an answer only then. */
function refuse(req: IncomingMessage, resp: ServerResponse, error: unknown): void {
  writeProblem(resp, error);
  if (req.readableEnded) return;
  req.on("error", () => {});
  req.resume();
  setTimeout(() => req.destroy(), REST_MS_MAX).unref(); // changes nothing for one that has come
}
