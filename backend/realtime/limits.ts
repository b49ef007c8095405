import { STREAM_LIFETIME_JITTER, STREAM_LIFETIME_MS } from "../threads/live/follow";

/** Bounds of one WebSocket and of all together, each said to the client in `welcome` or in docs/realtime.md. */

/** Connections of one person, of one organization, and of all, in this process. */
export const CONNECTIONS_PER_PERSON_MAX = 20;
export const CONNECTIONS_PER_ORG_MAX = 1_000;
export const CONNECTIONS_MAX = 5_000;

/** The server asks so often; a client that says nothing for SILENCE_MS_MAX is gone. Looked at every ALIVE_LOOK_MS: found within 30 s. */
export const PING_MS = 10_000;
export const SILENCE_MS_MAX = 25_000;
export const ALIVE_LOOK_MS = 2_500;

/**
 * Characters sent between two pings. A client that has not shown to have read the last mebibyte is given no more of the thread (live/read.ts);
 * with answers and people's doings on top, this is the most that ever waits for it.
 */
export const PING_CHARS = 128 * 1024;
export const UNREAD_CHARS_MAX = 2 << 20;

/** A connection ends by itself, as a stream does; lifetimes differ by up to this share, so that not all come back together. */
export const LIFETIME_MS = STREAM_LIFETIME_MS;
export const LIFETIME_JITTER = STREAM_LIFETIME_JITTER;

/** Messages of one client: so many at once, and so many a second in the long run. */
export const BURST_MAX = 40;
export const MESSAGES_PER_SECOND = 10;
/** Messages refused as too fast or not understood, in a row: then the connection is ended. */
export const REFUSED_IN_A_ROW_MAX = 50;
/** Messages taken and not yet answered. */
export const IN_WORK_MAX = 32;

/** Presence of a tab ends so long after its process last kept it, and so long after its connection broke without a word. */
export const PRESENCE_MS = 25_000;
export const LINGER_MS = 5_000;
/** How often a process keeps the presence of its connections alive. */
export const KEEP_MS = 10_000;
/** Typing ends by itself; a client that goes on typing says so again before. */
export const TYPING_MS = 6_000;
/** How often keys, threads and presence are compared with the database; hints between processes make most of it faster. */
export const LOOK_MS = 2_000;

/** Tabs shown of one thread; those beyond are connected and not shown. */
export const TABS_SHOWN_MAX = 1_000;
/** Reactions one person leaves under one message. */
export const REACTIONS_PER_PERSON_MAX = 20;

/** When to come back, where at once would not help. */
export const RETRY_FULL_MS = 30_000;
/** By then every process knows the new role (authenticate.ts, TRUST_MS). */
export const RETRY_ROLE_MS = 3_000;
export const RETRY_BROKEN_MS = 1_000;
export const RETRY_SHUTDOWN_MS = 500;
