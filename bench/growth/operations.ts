/** What people do with a thread all day, as requests whose cost must not depend on how much else there is. */
import { createParser } from "eventsource-parser";
import { entryCursor } from "../../backend/lib/cursor";
import type { Organization } from "../lib/graphyn";
import { type Api, call } from "../lib/http";
import { FREQUENT, RARE } from "./fill";

/** One place of one size: what operations are measured on. */
export interface Place {
  organization: Organization;
  threadId: string;
  /** Of the thread's log, when measuring began. */
  lastSeq: number;
}

export interface Operation {
  name: string;
  /** Asks once. Resolves with how many entries came, where it is their number that costs. */
  ask(api: Api, place: Place): Promise<number | undefined>;
}

const PAGE = 50;
/** Entries that a reader lacks who was away for a moment. */
const NEAR = 20;
const LONGEST_REPLAY = 4_000;
const REPLAY_MS_MAX = 60_000;

const get = (path: (place: Place) => string) => async (api: Api, place: Place) => {
  await call(api, "GET", path(place));
  return undefined;
};
const found = (path: (place: Place) => string) => async (api: Api, place: Place) => {
  const { results, semantic } = await call<{ results: unknown[]; semantic: boolean }>(api, "GET", path(place));
  if (results.length < RARE.messages || !semantic)
    throw new Error(`search found ${results.length}, semantic ${semantic}`);
  return undefined;
};

export const READ_THREAD: Operation = { name: "thread", ask: get(({ threadId }) => `/threads/${threadId}`) };
export const LIST_THREADS: Operation = { name: "list of threads", ask: get(() => `/threads?limit=${PAGE}`) };
export const FIRST_PAGE: Operation = {
  name: "first page",
  ask: get(({ threadId }) => `/threads/${threadId}/messages?limit=${PAGE}`),
};
export const LAST_PAGE: Operation = {
  name: "last page",
  ask: get(({ threadId }) => `/threads/${threadId}/messages?limit=${PAGE}&order=desc`),
};
export const RESUME_NEAR: Operation = {
  name: "resume near the end",
  ask: async (api, { threadId, lastSeq }) => {
    await resume(api, threadId, Math.max(0, lastSeq - NEAR));
    return undefined;
  },
};
/** From the middle of the log; of a long one so much that it is comparable: what is missed must be sent, so the cost is told for each entry. */
export const RESUME_MIDDLE: Operation = {
  name: "resume in the middle, an entry",
  ask: (api, { threadId, lastSeq }) => resume(api, threadId, Math.floor(lastSeq / 2), LONGEST_REPLAY),
};
export const APPEND: Operation = {
  name: "append",
  ask: async (api, place) => {
    await call(api, "POST", `/threads/${place.threadId}/messages`, {
      content: `Thank you for the ${FREQUENT}.`,
      mentions: [],
    });
    place.lastSeq++;
    return undefined;
  },
};
export const searches: Record<"inThread" | "everywhere", Operation[]> = {
  inThread: [
    { name: "search in it, a rare word", ask: found(({ threadId }) => `/search?q=${RARE.word}&thread_id=${threadId}`) },
    {
      name: "search in it, a frequent word",
      ask: found(({ threadId }) => `/search?q=${FREQUENT}&thread_id=${threadId}`),
    },
  ],
  everywhere: [
    { name: "search, a rare word", ask: found(() => `/search?q=${RARE.word}`) },
    { name: "search, a frequent word", ask: found(() => `/search?q=${FREQUENT}`) },
  ],
};

/** Follows a thread from a place of its log until it has caught up, or has so many entries. Resolves with how many came. */
async function resume(api: Api, threadId: string, seq: number, entriesMax = Number.POSITIVE_INFINITY): Promise<number> {
  const gone = new AbortController();
  const late = setTimeout(() => gone.abort(new Error("the thread was not caught up with")), REPLAY_MS_MAX);
  try {
    const response = await api.pool.request({
      method: "GET",
      path: `/threads/${threadId}/stream`,
      headers: { ...api.headers, accept: "text/event-stream", "last-event-id": entryCursor(threadId, seq) },
      signal: gone.signal,
    });
    if (response.statusCode !== 200)
      throw new Error(`GET stream: ${response.statusCode} ${await response.body.text()}`);
    response.body.on("error", () => undefined);
    let entries = 0;
    let isThere = false;
    const parser = createParser({
      onEvent: ({ event }) => {
        if (isThere) return;
        if (event === "caught_up") isThere = true;
        else if (++entries >= entriesMax) isThere = true;
      },
    });
    const decoder = new TextDecoder();
    for await (const bytes of response.body) {
      parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
      if (isThere) return entries;
    }
    throw new Error("the stream ended");
  } finally {
    clearTimeout(late);
    gone.abort();
  }
}
