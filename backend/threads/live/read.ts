import { seenBy, type Viewer } from "../../db/tenant";
import { readLog } from "../log";
import { channelOf, holdChannel, refresh, seqShown } from "./channels";
import type { Page, Reading, ThreadReader } from "./reader";
import { inReplayPlace } from "./replay-places";
import { readSaid } from "./said-so-far";
import { readShown } from "./shown";

const REPLAY_PAGE = 200;

/**
 * Reads a thread from a cursor on, for any transport: each entry of its log and each word of its running turns exactly once and in order.
 * SPEC.md says what holds. Resolves when the reader waits for what happens, or has ended; rejects when the database cannot be read.
 */
export function readFrom(reader: ThreadReader, reading: Reading & { who: Viewer }): Promise<void> {
  const { who, threadId } = reading;
  const orgId = who.orgID;
  return reader.begin(reading, {
    readPage: async (after) =>
      nothingAfter(who, threadId, after) ??
      inReplayPlace(orgId, async () => nothingAfter(who, threadId, after) ?? readPage(who, threadId, after)),
    readShown: () => inReplayPlace(orgId, () => seenBy(who, (tx) => readShown(tx, orgId, threadId))),
    hold: (seq) => holdChannel(orgId, threadId, seq),
    refresh: () => refresh(orgId, threadId),
  });
}

/** The page of a reader who comes back to where others of its thread read here: of a thousand cut off at once, most need no database. */
function nothingAfter(who: Viewer, threadId: string, after: number): Page | null {
  return seqShown(who, threadId) === after ? { entries: [], full: false, words: [] } : null;
}

function readPage(who: Viewer, threadId: string, after: number): Promise<Page> {
  const orgId = who.orgID;
  const channel = channelOf(orgId, threadId);
  return seenBy(who, async (tx) => {
    // The words first, as everywhere: then the log that is read after them has the start of each turn.
    const words =
      channel !== null && channel.readers > 0 ? [] : await readSaid(tx, orgId, [threadId], channel?.known() ?? {});
    return { ...(await readLog(tx, orgId, threadId, after, REPLAY_PAGE)), words };
  });
}
