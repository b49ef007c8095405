/** Where Letta is and how much is asked of it at once. Every bound of this folder stands here, with its unit. */
export interface LettaConfig {
  /** Base URLs of servers that share one Letta database, e.g. `http://127.0.0.1:8283`. */
  urls: string[];
  /** The server's password (`LETTA_SERVER_PASSWORD`); "" when it runs without. */
  apiKey: string;
  limits?: Partial<LettaLimits>;
}

export interface LettaLimits {
  /** Answers streaming at once, per server. One Letta process gives 5 to 6 answers a second a core, and most of a stream's life is the model's. */
  streamsMax: number;
  /** Short calls (create, list, delete) at once, per server. Apart from streams, so that a stop gets through when all streams are taken. */
  callsMax: number;
  /** Conversations made at once, per server: each takes Letta 15 ms of CPU, and first messages in many threads must not crowd out answers. */
  createsMax: number;
  /** Answers, and conversations to be made, that wait for a place, over all organizations and of one. More than a process takes on (threads/turns/room.ts). */
  waitingMax: number;
  waitingOfOneMax: number;
  /** How long one may wait for a place, ms: shorter than a turn may take. */
  waitMsMax: number;
  /** The same of short calls, for which somebody waits. */
  callsWaitingMax: number;
  callsWaitingOfOneMax: number;
  callWaitMsMax: number;

  connectMsMax: number;
  /** A short call, from sending to the whole answer, ms. */
  callMsMax: number;
  /** Letta answers a message with a ping that names the run before it asks its model; how long that may take, ms. */
  firstByteMsMax: number;
  /** The first event that is not a ping: the model's time to its first token, ms. */
  firstEventMsMax: number;
  /** Silence between events that are not pings, ms. */
  idleMsMax: number;
  /** A whole answer, with all its steps, ms. */
  totalMsMax: number;
  /** Stopping a run, until Letta says that it has stopped, ms. */
  cancelMsMax: number;

  /** Failures of a server in a row that open its breaker. */
  breakerFailuresMax: number;
  /** How long an open breaker refuses before it probes, ms; doubles with each failed probe up to the second. */
  breakerOpenMsMin: number;
  breakerOpenMsMax: number;
}

export const DEFAULT_LIMITS: LettaLimits = {
  streamsMax: 16,
  callsMax: 8,
  createsMax: 2,
  waitingMax: 12_000,
  waitingOfOneMax: 4_000,
  waitMsMax: 540_000,
  callsWaitingMax: 1_000,
  callsWaitingOfOneMax: 100,
  callWaitMsMax: 30_000,
  connectMsMax: 2_000,
  callMsMax: 30_000,
  firstByteMsMax: 20_000,
  firstEventMsMax: 90_000,
  idleMsMax: 90_000,
  totalMsMax: 600_000,
  cancelMsMax: 5_000,
  breakerFailuresMax: 5,
  breakerOpenMsMin: 1_000,
  breakerOpenMsMax: 15_000,
};

/** Letta's uvicorn closes an idle connection after 5 s (perf-reliability L12); ours is given up before. */
export const KEEP_ALIVE_MS = 4_000;

/** Letta pings every 20 s. A connection on which not even a ping comes for this long is dead. */
export const SILENT_SOCKET_MS_MAX = 45_000;

/** A kept connection that Letta had closed already fails at once; one that fails later may have been heard, and is not repeated. */
export const STALE_SOCKET_MS_MAX = 250;
export const STALE_SOCKET_RETRIES_MAX = 2;

/** One line of an event stream. A token is some hundred bytes, a tool's return at most a few hundred thousand. */
export const EVENT_CHARS_MAX = 2_000_000;

/** A whole answer that does not come as a stream: all its steps, with what its tools returned. */
export const ANSWER_CHARS_MAX = 16_000_000;

/** Events of a stream that are not JSON or not an object; beyond, the stream is called garbage and ended. */
export const GARBAGE_EVENTS_MAX = 20;

/** Entries Letta is asked for at once, and how many such pages are read before a list is called too long. */
export const PAGE_SIZE = 100;
export const PAGES_MAX = 100;

/** `http://a:8283, http://b:8283` → its parts. Throws with a sentence when one is not an http(s) URL. */
export function parseUrls(text: string): string[] {
  const urls = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  if (urls.length === 0)
    throw new Error("LETTA_API_URL names no server: set it to Letta's URL, e.g. http://127.0.0.1:8283");
  return urls.map((url) => {
    const parsed = URL.canParse(url) ? new URL(url) : null;
    if (parsed === null || (parsed.protocol !== "http:" && parsed.protocol !== "https:")) {
      throw new Error("LETTA_API_URL must hold http:// or https:// URLs, separated by commas");
    }
    return parsed.href.replace(/\/+$/, "");
  });
}
