import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { APIError, api, ErrCode } from "encore.dev/api";
import log from "encore.dev/log";
import { actorOf, appendAudit } from "../audit/append-audit";
import { signingKey } from "../audit/audit-keys";
import { type Tx, tenant, tenantSnapshot } from "../db/tenant";
import { problem } from "../lib/errors";
import { stopping } from "../lib/stopping";
import { writeProblem } from "../lib/write-problem";
import type { Caller } from "../organizations/authenticate";
import { caller } from "../organizations/caller";
import { unwatchCredential, type Watched, watchCredential } from "../organizations/watch-credentials";
import { makeSeats } from "../threads/live/stream-seats";
import { ARCHIVE_BYTES_MAX, ARCHIVE_MS_MAX, type Cut, VERSION } from "./format";
import { writeArchive } from "./write-archive";

/** Exports under way in this process, for one organization and for all together: each holds a connection to the database. */
const EXPORTS_PER_ORG_MAX = 1;
const EXPORTS_MAX = 2;
/** Written together. */
const CHUNK_BYTES = 64 << 10;
/** What may wait for the reader before no more is read from the database. */
const UNREAD_BYTES_MAX = 1 << 20;
/** How long a reader may take for that. */
const UNREAD_MS_MAX = 30_000;
/** The transaction may stand still a little longer than it waits for the reader. */
const STILL_MS_MAX = UNREAD_MS_MAX + 10_000;
/** Encore's runtime tells of no drain: it is looked at. */
const LOOK_MS = 10;

const seats = makeSeats({ perOrg: EXPORTS_PER_ORG_MAX, total: EXPORTS_MAX });

/** Ends an archive before its end. */
class CutOff extends Error {
  constructor(readonly why: Cut) {
    super(why);
  }
}

/**
 * The whole organization as one archive, of the moment it was asked for: lines of canonical JSON, for an import into another Graphyn. Only an
 * archive whose last line is `{"end":…}`, with the counts of its rows and the hash of its bytes, is whole; docs/export.md has the format. The
 * same organization gives the same bytes. For owners. Secrets are in none: API keys, models' keys and invitations are made anew.
 *
 * @openapi-response 200 application/x-ndjson The archive.
 */
export const exportOrganization = api.raw(
  { expose: true, auth: true, method: "GET", path: "/export" },
  async (_req, resp) => {
    const who = caller();
    const leave = seats.take(who.orgID);
    try {
      if (!leave) throw tooMany();
      signingKey();
      await tenantSnapshot(who.orgID, STILL_MS_MAX, async (tx) => {
        await refuseErasing(tx, who.orgID);
        // Only now, when the moment of the archive is fixed: it does not hold this entry, and an export that is broken off is told as well.
        await tellExport(who);
        await send(resp, tx, who);
      });
    } catch (error) {
      if (!(error instanceof APIError))
        log.error("an export failed", { org_id: who.orgID, error: error instanceof Error ? error.name : "unknown" });
      if (!resp.headersSent && !resp.destroyed) writeProblem(resp, error);
      else if (!resp.writableEnded) resp.destroy();
    } finally {
      leave?.();
    }
  },
);

async function tellExport(who: Caller): Promise<void> {
  const { orgID: orgId } = who;
  await tenant(orgId, (tx) =>
    appendAudit(tx, {
      orgId,
      actor: actorOf(who),
      action: "organization.exported",
      target: { type: "organization", id: orgId },
      change: { version: VERSION },
    }),
  );
}

async function send(resp: ServerResponse, tx: Tx, who: Caller): Promise<void> {
  const sink = makeSink(resp, who);
  resp.writeHead(200, {
    "Content-Type": "application/x-ndjson",
    "Content-Disposition": `attachment; filename="${who.orgID}.graphyn.ndjson"`,
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
  });
  try {
    await writeArchive(tx, who.orgID, sink.write);
    await sink.flush();
  } catch (error) {
    const why: Cut = error instanceof CutOff ? error.why : "failed";
    log.warn("an export ended before its end", {
      org_id: who.orgID,
      why,
      error: error instanceof Error ? error.name : "",
    });
    // The reader is told, as far as it reads at all. What is lost on the way is no end either.
    if (!resp.destroyed) resp.write(`${JSON.stringify({ cut: { reason: why } })}\n`);
  } finally {
    sink.close();
  }
  resp.end();
}

/** Takes lines as fast as the reader does, and no longer and no more than an archive may. */
function makeSink(resp: ServerResponse, who: Caller) {
  const until = performance.now() + ARCHIVE_MS_MAX;
  let ended: Cut | null = null;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let sent = 0;
  // A session's token lives for a minute: it counted when the archive was asked for.
  const watched: Watched = {
    who,
    threadId: "",
    credentialEnded(why) {
      if (why !== "session_expired") ended = "credential_ended";
    },
  };
  watchCredential(watched);
  resp.on("error", () => {}); // an error that nobody listens for would end the process

  const check = () => {
    if (stopping.aborted) ended = "server_ends";
    if (performance.now() > until) ended = "too_slow";
    if (resp.destroyed) ended = "reader_too_slow";
    if (ended) throw new CutOff(ended);
  };
  const flush = async () => {
    check();
    resp.write(Buffer.concat(waiting));
    waiting = [];
    waitingBytes = 0;
    const patience = performance.now() + UNREAD_MS_MAX;
    while (resp.writableLength > UNREAD_BYTES_MAX) {
      if (performance.now() > patience) throw new CutOff("reader_too_slow");
      await sleep(LOOK_MS);
      check();
    }
  };
  return {
    flush,
    async write(line: Buffer) {
      sent += line.length;
      if (sent > ARCHIVE_BYTES_MAX) throw new CutOff("too_large");
      waiting.push(line);
      waitingBytes += line.length;
      if (waitingBytes >= CHUNK_BYTES) await flush();
    },
    close: () => unwatchCredential(watched),
  };
}

/** What is being erased would be in the archive, and the erasure would not. */
async function refuseErasing(tx: Tx, orgId: string): Promise<void> {
  const running = await tx.queryRow<{ id: string }>`
    select id from erasures where org_id = ${orgId} and state = 'running' limit 1`;
  if (!running) return;
  throw problem(
    ErrCode.Aborted,
    "erasure_running",
    "Somebody is being erased: nothing is exported until that is done.",
    "GET /erasure/:id (details.erasure_id) says how far it is. Then ask again.",
    { erasure_id: running.id, context: null },
  );
}

function tooMany() {
  return problem(
    ErrCode.ResourceExhausted,
    "too_many_exports",
    "As many exports are under way as this server makes at once.",
    "Wait for the one that is under way, or try again in a few minutes.",
    { exports_per_organization_max: EXPORTS_PER_ORG_MAX, context: null },
  );
}
