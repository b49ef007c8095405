/** What people do with a thread all day, as requests whose cost must not depend on how much else there is. */
import { createParser } from "eventsource-parser";
import type pg from "pg";
import { entryCursor } from "../../backend/lib/cursor";
import { createAgent, createThread, type Organization, openStream } from "../lib/graphyn";
import { type Api, call } from "../lib/http";
import { FREQUENT, RARE } from "./fill";

/** One place of one size: what operations are measured on. */
export interface Place {
  organization: Organization;
  threadId: string;
  /** Of the thread's log, when measuring began. */
  lastSeq: number;
  /** A thread with an agent that never answers: its next turn waits. */
  waitingThreadId?: string;
}

/** A request that is ready to be asked. */
export interface Ready {
  /** Asks once. Resolves with how many entries came, where it is their number that costs. */
  ask(): Promise<number | undefined>;
  /** Puts the rows back to what they were before it was asked, so that its queries can be run again; resolves with what takes that back. */
  putBack?(client: pg.Client): Promise<() => Promise<void>>;
  /** Words of a statement in the one transaction whose pages count, where the request is answered by several. */
  within?: RegExp;
  /** What is left of it. */
  over?(): Promise<void>;
}

export interface Operation {
  name: string;
  prepare(api: Api, place: Place): Promise<Ready>;
  /** Preparing takes longer than asking: one sample a visit, without one before that does not count. */
  isDear?: boolean;
}

const PAGE = 50;
/** Entries that a reader lacks who was away for a moment. */
const NEAR = 20;
const LONGEST_REPLAY = 4_000;
const REPLAY_MS_MAX = 60_000;

type Ask = (api: Api, place: Place) => Promise<number | undefined>;
const asked = (name: string, ask: Ask): Operation => ({
  name,
  prepare: async (api, place) => ({ ask: () => ask(api, place) }),
});
const get =
  (path: (place: Place) => string): Ask =>
  async (api, place) => {
    await call(api, "GET", path(place));
    return undefined;
  };
const found =
  (path: (place: Place) => string): Ask =>
  async (api, place) => {
    const { results, semantic } = await call<{ results: unknown[]; semantic: boolean }>(api, "GET", path(place));
    if (results.length < RARE.messages || !semantic)
      throw new Error(`search found ${results.length}, semantic ${semantic}`);
    return undefined;
  };

export const READ_THREAD = asked(
  "thread",
  get(({ threadId }) => `/threads/${threadId}`),
);
export const LIST_THREADS = asked(
  "list of threads",
  get(() => `/threads?limit=${PAGE}`),
);
export const FIRST_PAGE = asked(
  "first page",
  get(({ threadId }) => `/threads/${threadId}/messages?limit=${PAGE}`),
);
export const LAST_PAGE = asked(
  "last page",
  get(({ threadId }) => `/threads/${threadId}/messages?limit=${PAGE}&order=desc`),
);
export const RESUME_NEAR = asked("resume near the end", async (api, { threadId, lastSeq }) => {
  await resume(api, threadId, Math.max(0, lastSeq - NEAR));
  return undefined;
});
/** From the middle of the log; of a long one so much that it is comparable: what is missed must be sent, so the cost is told for each entry. */
export const RESUME_MIDDLE = asked("resume in the middle, an entry", (api, { threadId, lastSeq }) =>
  resume(api, threadId, Math.floor(lastSeq / 2), LONGEST_REPLAY),
);
export const APPEND = asked("append", async (api, place) => {
  await call(api, "POST", `/threads/${place.threadId}/messages`, {
    content: `Thank you for the ${FREQUENT}.`,
    mentions: [],
  });
  place.lastSeq++;
  return undefined;
});
export const searches: Record<"inThread" | "everywhere", Operation[]> = {
  inThread: [
    asked(
      "search in it, a rare word",
      found(({ threadId }) => `/search?q=${RARE.word}&thread_id=${threadId}`),
    ),
    asked(
      "search in it, a frequent word",
      found(({ threadId }) => `/search?q=${FREQUENT}&thread_id=${threadId}`),
    ),
  ],
  everywhere: [
    asked(
      "search, a rare word",
      found(() => `/search?q=${RARE.word}`),
    ),
    asked(
      "search, a frequent word",
      found(() => `/search?q=${FREQUENT}`),
    ),
  ],
};

/** A key that no process has seen, and that may not do what it is used for: who it is of is looked up, and nothing else. */
export const AUTHENTICATE: Operation = {
  name: "authenticate a key",
  isDear: true,
  prepare: async (api) => {
    const { api_key } = await call<{ api_key: string }>(api, "POST", "/api-keys", {
      name: "one more",
      scopes: ["threads:read"],
    });
    return {
      ask: async () => {
        const headers = { authorization: `Bearer ${api_key}` };
        const { statusCode, body } = await api.pool.request({ method: "GET", path: "/people", headers });
        if (statusCode !== 403)
          throw new Error(`GET /people with a key that may not: ${statusCode} ${await body.text()}`);
        await body.dump();
        return undefined;
      },
    };
  },
};

/** A turn is cancelled, and the agent's next one, which waits behind it, is claimed and begins. */
export const CLAIM: Operation = {
  name: "claim of the next waiting turn",
  isDear: true,
  prepare: async (api, { waitingThreadId: id = "" }) => {
    const stream = await openStream(api, id);
    const post = async (content: string) =>
      (await call<{ turns: { id: string }[] }>(api, "POST", `/threads/${id}/messages`, { content })).turns[0]?.id ?? "";
    const first = await post("one");
    await stream.until(({ type, turn_id }) => type === "turn_started" && turn_id === first);
    const second = await post("two");
    const began = stream.until(({ type, turn_id }) => type === "turn_started" && turn_id === second);
    const cancel = (turn: string) => call(api, "POST", `/threads/${id}/turns/${turn}/cancel`);
    return {
      ask: async () => {
        await Promise.all([cancel(first), began]);
        return undefined;
      },
      within: /update turns set lease_owner = .* order by q\.id limit 1/s, // which ends the first one, too
      putBack: async (client) => {
        // The trigger that settles a turn is for what happens, and not for what is put back.
        await client.query("set session_replication_role = replica");
        const { rows } = await client.query("select ended_at, cancel_reason from turns where id = $1", [first]);
        const set = (turn: string, state: string, { ended_at, cancel_reason }: Record<string, unknown>) =>
          client.query("update turns set state = $2, ended_at = $3, cancel_reason = $4 where id = $1", [
            turn,
            state,
            ended_at,
            cancel_reason,
          ]);
        const none = { ended_at: null, cancel_reason: null };
        await set(second, "queued", none);
        await set(first, "running", none);
        return async () => {
          await set(first, "cancelled", rows[0] ?? none);
          await set(second, "running", none);
        };
      },
      over: async () => {
        await cancel(second);
        stream.close();
      },
    };
  },
};

/** A thread for CLAIM. */
export async function makeWaitingThread({ api }: Organization): Promise<string> {
  const { agent_id } = await createAgent(api, "dev-hang");
  return createThread(api, [agent_id]);
}

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
