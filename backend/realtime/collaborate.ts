import { api, type Query, type StreamInOut } from "encore.dev/api";
import log from "encore.dev/log";
import { seenBy, tenant } from "../db/tenant";
import { parseCursor } from "../lib/cursor";
import { isId, newId } from "../lib/ids";
import { connections } from "../lib/metrics";
import { stopping } from "../lib/stopping";
import type { Caller } from "../organizations/authenticate";
import { caller } from "../organizations/caller";
import { readThread } from "../threads/thread-context";
import { act } from "./act";
import { type Connection, openConnection } from "./connection";
import { type Inbox, openInbox } from "./inbox";
import type { Incoming } from "./incoming";
import { BURST_MAX, MESSAGES_PER_SECOND, PING_MS, SILENCE_MS_MAX, TYPING_MS } from "./limits";
import type { Member } from "./member";
import type { Outgoing } from "./outgoing";
import { leaveTab, lingerTabs, takeTab } from "./presence";
import type { ByeReason } from "./protocol";
import { enterRoom, exitRoom, peopleChanged } from "./rooms";
import { takeSeat } from "./seats";
import { showThread } from "./show-thread";
import "./watch";

interface Handshake {
  /** The thread. */
  id: string;
  /** Go on after it; without it the stored messages come first. */
  cursor?: Query;
  /** This window's name, the same each time it comes back: 1 to 64 of A-Z, a-z, 0-9, - and _. */
  tab?: Query;
}

type Stream = StreamInOut<Incoming, Outgoing>;

/**
 * People and agents in a thread at the same time, over a WebSocket: the thread's log and live answers as in the stream, by the same cursor,
 * and who is here, who types, who has read how far; sending, cancelling and reacting with answers. Every refusal is a message, and the last
 * one, `bye`, says why the connection ends and whether to come back. The protocol: /asyncapi.json.
 */
export const collaborate = api.streamInOut<Handshake, Incoming, Outgoing>(
  { expose: true, auth: true, path: "/threads/:id/collaborate" },
  async ({ id, cursor, tab }, stream) => {
    const who = caller();
    const connection = openConnection(stream);
    const standUp = takeSeat(who);
    connections.inc({ transport: "websocket" });
    void connection.ended.then(() => {
      standUp?.();
      connections.dec({ transport: "websocket" });
    });
    try {
      if (!standUp) connection.bye("too_many_connections");
      else if (stopping.aborted) connection.bye("shutdown");
      else await stay({ who, connection, stream, threadId: id, cursor, tab });
    } catch (error) {
      log.error("a thread's collaboration failed", { thread_id: id, error: String(error) });
      connection.bye("stream_failed");
    }
  },
);

interface Staying {
  who: Caller;
  connection: Connection;
  stream: Stream;
  threadId: string;
  cursor: string | undefined;
  tab: string | undefined;
}

const TAB = /^[A-Za-z0-9_-]{1,64}$/;

/** From the welcome to the goodbye. */
async function stay({ who, connection, stream, threadId, cursor, tab = newId("tab") }: Staying): Promise<void> {
  const { orgID, userID } = who;
  if (!TAB.test(tab)) return connection.bye("bad_tab");
  const state = isId("thread", threadId) ? await seenBy(who, (tx) => readThread(tx, orgID, threadId)) : null;
  if (!state) return connection.bye("thread_not_found");
  const from = cursor === undefined ? null : parseCursor(threadId, cursor);
  if (cursor !== undefined && (!from || from.seq > state.context.last_seq)) return connection.bye("bad_cursor");

  const seat = { threadId, userId: userID, tab, connectionId: newId("conn") };
  const member: Member = { who, threadId, seat, connection, seq: from?.seq ?? 0, isTyping: false };
  let why: ByeReason | null = null;
  const inbox = openInbox(connection, {
    threadId,
    act: (message) => act(member, message),
    leave: () => connection.bye("left"),
  });
  await tenant(orgID, (tx) => takeTab(tx, orgID, seat));
  try {
    await enterRoom(member, (people, reads) =>
      connection.send({
        type: "welcome",
        connection_id: seat.connectionId,
        tab,
        user_id: userID,
        context: state.context,
        people,
        reads,
        limits: {
          ping_every_ms: PING_MS,
          silence_ms_max: SILENCE_MS_MAX,
          typing_ms: TYPING_MS,
          messages_per_second: MESSAGES_PER_SECOND,
          burst_max: BURST_MAX,
        },
      }),
    );
    if (stopping.aborted) connection.bye("shutdown"); // it came while everybody else was told
    void listen(stream, connection, inbox);
    await showThread(member, from);
    why = await connection.ended;
  } finally {
    exitRoom(member);
    if (!stopping.aborted) {
      // Who was silent for so long is not about to come back, as one whose connection just broke is.
      const isGone = why === "left" || why === "unanswered_pings";
      await tenant(orgID, (tx) =>
        isGone ? leaveTab(tx, orgID, seat) : lingerTabs(tx, orgID, [seat.connectionId]),
      ).catch(() => undefined); // it expires by itself
      peopleChanged(orgID, threadId);
    }
  }
}

/** Reads what the client sends until it goes. On both hosts reading fails then; neither says why. */
async function listen(stream: Stream, connection: Connection, inbox: Inbox): Promise<void> {
  try {
    while (connection.isOpen) {
      const incoming = await stream.recv();
      if (connection.isOpen) inbox.take(incoming);
    }
  } catch {
    connection.gone();
  }
}
