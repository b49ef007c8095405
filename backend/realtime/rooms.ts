import log from "encore.dev/log";
import { type Tx, tenant } from "../db/tenant";
import { onHint, tell } from "../threads/live/fanout/tell";
import type { Member } from "./member";
import { type PresenceRow, readPresence } from "./presence";
import type { Person, ReadPosition, ServerMessage } from "./protocol";
import { readPositions } from "./read-positions";

/**
 * The people of the threads that somebody of this process is connected to. The database has the truth, for all processes: whatever changes
 * is read from it, compared with what was shown, and the difference goes to the room's members.
 */
interface Room {
  orgId: string;
  threadId: string;
  members: Set<Member>;
  people: Map<string, Known>;
  reads: Map<string, number>;
  /** The newest look that was shown: one that began before it shows nothing. */
  shown: number;
  /** The look under way, and the one after it, for whoever wants one from now on: there are never more. */
  looking: Promise<void>;
  next: Promise<void> | null;
  /** Members on their way in: the room stays for them. */
  entering: number;
}

interface Known {
  person: Person;
  /** When typing ends, by `performance.now()`; null when not typing. */
  typingUntil: number | null;
}

/** Two ends of typing closer than this are one: they come from one write, read twice. */
const SAME_TYPING_MS = 500;

const rooms = new Map<string, Room>();
let looks = 0;

onHint("people", (hints) => {
  if (hints === "all") return; // the slow look (watch.ts) takes all rooms of an organization at once, and comes soon
  for (const { orgId, threadId } of hints) {
    const room = rooms.get(`${orgId}/${threadId}`);
    if (room) void look(room);
  }
});

/** Adds a member once it has been told who is here; `welcome` is called with that, and nothing happens in between. */
export async function enterRoom(
  member: Member,
  welcome: (people: Person[], reads: ReadPosition[]) => void,
): Promise<void> {
  const { who, threadId } = member;
  const key = `${who.orgID}/${threadId}`;
  const room: Room = rooms.get(key) ?? {
    orgId: who.orgID,
    threadId,
    members: new Set(),
    people: new Map(),
    reads: new Map(),
    shown: 0,
    looking: Promise.resolve(),
    next: null,
    entering: 0,
  };
  rooms.set(key, room);
  room.entering++;
  tell(who.orgID, threadId, "people");
  await look(room);
  room.entering--;
  if (!member.connection.isOpen) return closeIfEmpty(room);
  room.members.add(member);
  welcome(
    [...room.people.values()].map(({ person }) => person),
    [...room.reads].map(([user_id, seq]) => ({ user_id, seq })),
  );
  for (const [user_id, { person, typingUntil }] of room.people)
    if (typingUntil !== null) member.connection.send(typing(user_id, person.name, typingUntil));
}

/** Takes a member out. */
export function exitRoom(member: Member): void {
  const room = rooms.get(`${member.who.orgID}/${member.threadId}`);
  room?.members.delete(member);
  if (room) closeIfEmpty(room);
}

/** Who is here, types, or has read further: after the commit, for the members here and for other processes. */
export function peopleChanged(orgId: string, threadId: string): void {
  tell(orgId, threadId, "people");
  const room = rooms.get(`${orgId}/${threadId}`);
  if (room) void look(room);
}

/** Every member of this process, by organization. */
export function membersByOrg(): Map<string, Member[]> {
  const byOrg = new Map<string, Member[]>();
  for (const { orgId, members } of rooms.values()) {
    const all = byOrg.get(orgId) ?? [];
    for (const member of members) all.push(member);
    if (all.length > 0) byOrg.set(orgId, all);
  }
  return byOrg;
}

/** Reads and shows the people of all rooms of an organization, in its transaction. Call what it returns after the commit. */
export async function readRooms(tx: Tx, orgId: string): Promise<() => void> {
  const its = [...rooms.values()].filter((room) => room.orgId === orgId);
  return readAll(tx, orgId, its);
}

function closeIfEmpty(room: Room): void {
  if (room.members.size === 0 && room.entering === 0) rooms.delete(`${room.orgId}/${room.threadId}`);
}

/** Looks once more; whoever asks while a look waits to begin shares it, and sees what was committed before they asked. Never rejects. */
function look(room: Room): Promise<void> {
  room.next ??= room.looking.then(() => {
    room.next = null;
    room.looking = lookOnce(room);
    return room.looking;
  });
  return room.next;
}

async function lookOnce(room: Room): Promise<void> {
  try {
    const show = await tenant(room.orgId, (tx) => readAll(tx, room.orgId, [room]));
    show();
  } catch (error) {
    log.warn("looking who is in a thread failed; the next look tries again", {
      thread_id: room.threadId,
      error: String(error),
    });
  }
}

async function readAll(tx: Tx, orgId: string, its: Room[]): Promise<() => void> {
  const ticket = ++looks;
  const ids = its.map(({ threadId }) => threadId);
  if (ids.length === 0) return () => {};
  const present = byThread(await readPresence(tx, orgId, ids));
  const positions = byThread(await readPositions(tx, orgId, ids));
  return () => {
    for (const room of its) {
      if (room.shown > ticket) continue;
      room.shown = ticket;
      showPeople(room, present.get(room.threadId) ?? []);
      showReads(room, positions.get(room.threadId) ?? []);
    }
  };
}

function byThread<Row extends { thread_id: string }>(rows: Row[]): Map<string, Row[]> {
  const grouped = new Map<string, Row[]>();
  for (const row of rows) {
    const its = grouped.get(row.thread_id);
    if (its) its.push(row);
    else grouped.set(row.thread_id, [row]);
  }
  return grouped;
}

function showPeople(room: Room, rows: PresenceRow[]): void {
  const now = performance.now();
  const people = new Map<string, Known>();
  for (const { user_id, name, tab, since, typing_ms } of rows) {
    const known = people.get(user_id) ?? { person: { user_id, name, tabs: [] }, typingUntil: null };
    known.person.tabs.push({ tab, since: since.toISOString() });
    if (typing_ms !== null) known.typingUntil = Math.max(known.typingUntil ?? 0, now + typing_ms);
    people.set(user_id, known);
  }
  const before = room.people;
  room.people = people;
  for (const [userId, { person, typingUntil }] of people) {
    const known = before.get(userId);
    if (JSON.stringify(known?.person) !== JSON.stringify(person)) broadcast(room, { type: "person", person });
    const isOver = typingUntil === null && known?.typingUntil != null;
    const isNew = typingUntil !== null && typingUntil > (known?.typingUntil ?? 0) + SAME_TYPING_MS;
    if (isOver || isNew) broadcast(room, typing(userId, person.name, typingUntil));
  }
  for (const [userId, { person, typingUntil }] of before) {
    if (people.has(userId)) continue;
    if (typingUntil !== null) broadcast(room, typing(userId, person.name, null));
    broadcast(room, { type: "person", person: { ...person, tabs: [] } });
  }
}

function showReads(room: Room, positions: ReadPosition[]): void {
  for (const { user_id, seq } of positions) {
    if (seq <= (room.reads.get(user_id) ?? -1)) continue;
    room.reads.set(user_id, seq);
    broadcast(room, { type: "read", user_id, seq });
  }
}

function typing(userId: string, name: string, until: number | null): ServerMessage {
  const expires_in_ms = until === null ? 0 : Math.max(0, Math.round(until - performance.now()));
  return { type: "typing", user_id: userId, name, typing: until !== null, expires_in_ms };
}

function broadcast(room: Room, message: ServerMessage): void {
  for (const { connection } of room.members) connection.send(message);
}
