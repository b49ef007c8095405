import type { IncomingMessage } from "node:http";
import { currentRequest } from "encore.dev";
import { type APIError, api, ErrCode } from "encore.dev/api";
import { seenBy, type Tx, type Viewer } from "../db/tenant";
import { parseCursor } from "../lib/cursor";
import { notFound, problem } from "../lib/errors";
import { oneValue } from "../lib/header";
import { isId } from "../lib/ids";
import { connections } from "../lib/metrics";
import { encodeRetry, SSE_HEADERS } from "../lib/sse";
import { caller } from "../organizations/caller";
import { seqShown } from "./live/channels";
import { follow } from "./live/follow";
import { inReplayPlace } from "./live/replay-places";
import { makeSeats } from "./live/stream-seats";
import { refuse } from "./stream-refusal";
import { requireCursor } from "./thread-cursor";

const RETRY_MS = 500;
/** Streams open in this process, for one organization and for all together. */
const STREAMS_PER_ORG_MAX = 2_000;
const STREAMS_MAX = 10_000;

const seats = makeSeats({ perOrg: STREAMS_PER_ORG_MAX, total: STREAMS_MAX });

/**
 * Streams a thread as server-sent events: the stored messages first, then `caught_up`, then everything as it happens: `message`,
 * `participant`, `turn_started`, `ai_chunk`, `turn_completed`, `turn_cancelled`, `agent_error`, `error`. Every event's `id` is a cursor;
 * `Last-Event-ID` (or `?cursor=`) goes on after it with every entry of the log. The connection ends after about four minutes and names
 * the time to wait; clients of EventSource come back by themselves and miss nothing.
 *
 * @openapi-query cursor A cursor to go on after, for clients that cannot set Last-Event-ID.
 * @openapi-response 200 text/event-stream The thread's events.
 */
export const streamThread = api.raw(
  { expose: true, auth: true, method: "GET", path: "/threads/:id/stream" },
  async (req, resp) => {
    const who = caller();
    const { orgID } = who;
    const request = currentRequest();
    const id = request?.type === "api-call" ? String(request.pathParams?.id) : "";
    let leave: (() => void) | null = null;
    try {
      const text = cursorText(req);
      const standUp = seats.take(orgID);
      if (!standUp) throw tooManyStreams();
      connections.inc({ transport: "sse" });
      leave = () => {
        standUp();
        connections.dec({ transport: "sse" });
      };
      if (!isId("thread", id)) throw notFound("thread");
      const lastSeq = await lastSeqOf(who, id, text);
      if (lastSeq === null) throw notFound("thread");
      const from = text === null ? null : requireCursor(id, text, lastSeq);
      resp.writeHead(200, SSE_HEADERS);
      resp.write(encodeRetry(RETRY_MS)); // Encore sends the head with the first bytes, so some must follow at once
      await follow(resp, { who, threadId: id, from, over: leave }); // it goes on: how it was let in is forgotten
    } catch (error) {
      leave?.();
      await refuse(resp, who, id, error);
    }
  },
);

/** How far the thread's log goes, at least as far as is needed to judge the cursor; null when it is not there for whoever asks. */
async function lastSeqOf(who: Viewer, id: string, cursor: string | null): Promise<number | null> {
  const wanted = cursor === null ? 0 : (parseCursor(id, cursor)?.seq ?? 0);
  const known = () => {
    const shown = seqShown(who, id);
    return shown !== null && shown >= wanted ? shown : null;
  };
  return (
    known() ?? inReplayPlace(who.orgID, async () => known() ?? seenBy(who, (tx) => readLastSeq(tx, who.orgID, id)))
  );
}

async function readLastSeq(tx: Tx, orgId: string, id: string): Promise<number | null> {
  const row = await tx.queryRow<{ last_seq: number }>`
    select last_seq from threads where org_id = ${orgId} and id = ${id}`;
  return row?.last_seq ?? null;
}

/** What the client resumes from. A header that came back is newer than what the URL was made with; an empty one is EventSource's "none". */
function cursorText(req: IncomingMessage): string | null {
  const given = oneValue(req.headers["last-event-id"]);
  if (given) return given;
  return new URL(req.url ?? "/", "http://graphyn").searchParams.get("cursor");
}

function tooManyStreams(): APIError {
  return problem(
    ErrCode.ResourceExhausted,
    "too_many_streams",
    "Too many streams are open.",
    "End streams that nobody reads, or try again in a few minutes: every stream ends by itself within five.",
    { streams_per_organization_max: STREAMS_PER_ORG_MAX },
  );
}
