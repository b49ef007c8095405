/** What a round plays in: a stack, two organizations, their threads, and the clients in them. */

import { entryCursor } from "../../backend/lib/cursor";
import { type Member, startMember } from "./member";
import { MISBEHAVES, makeThread } from "./parties";
import { type Asked, ask, type Party, say, type Urls } from "./party";
import { type Manner, type Reader, startReader } from "./reader";
import type { Chaos } from "./stack";

export interface Room {
  party: Party;
  threadId: string;
  /** Whose agent does what its messages ask for. */
  misbehaves: boolean;
  readers: Reader[];
  members: Member[];
  /** Ids of messages that were taken, for who edits them. */
  taken: string[];
  said: number;
}

export interface World {
  chaos: Chaos;
  parties: Party[];
  rooms: Room[];
  random: () => number;
  urls: Urls;
  /** A process that could say words it had not stored was killed. */
  wasKilled: boolean;
  /** Aborted when nobody begins anything new. */
  over: AbortController;
}

const ROOMS = [
  { agents: ["counts"], manners: ["break", "stay"], member: true },
  { agents: ["counts", "echoes"], manners: ["break", "vanish"], member: false },
  { agents: ["counts_long"], manners: ["break", "stall"], member: false },
  { agents: ["misbehaves"], manners: ["break"], member: true },
] as const satisfies readonly { agents: readonly (keyof Party["agents"])[]; manners: Manner[]; member: boolean }[];

/** What is asked of an agent that misbehaves; some of it ends only with the turn's deadline. */
const MISBEHAVIOURS = [
  "!cut 5",
  "!cut 0",
  "!error 500",
  "!error 429",
  "!garbage",
  "!hold 5",
  "!hang",
  "!slow 2000",
  "!rate 20",
];

export async function makeWorld(chaos: Chaos, parties: Party[], random: () => number): Promise<World> {
  const turn = { at: 0 };
  const urls: Urls = () => chaos.nodes[turn.at++ % chaos.nodes.length]?.url ?? "";
  const over = new AbortController();
  const world: World = { chaos, parties, rooms: [], random, urls, wasKilled: false, over };
  for (const party of parties) {
    party.answers = [];
    party.posted = [];
    for (const { agents, manners, member } of ROOMS) {
      const threadId = await makeThread(party, chaos.nodes[0]?.url ?? "", agents);
      const begin = { cursor: entryCursor(threadId, 0), seq: 0 };
      world.rooms.push({
        party,
        threadId,
        misbehaves: (agents as readonly string[]).includes("misbehaves"),
        readers: manners.map((manner, index) =>
          startReader({ party, threadId, manner, urls, random, from: index === 0 ? begin : null }),
        ),
        members: member ? [startMember({ party, threadId, url: chaos.front })] : [],
        taken: [],
        said: 0,
      });
    }
  }
  return world;
}

/** A text that nobody else says, with its organization's word in it. */
export function newText(room: Room, random: () => number): string {
  const text = `${room.party.canary} ${room.threadId.slice(-6)} ${room.said++}`;
  if (!room.misbehaves) return text;
  const how = MISBEHAVIOURS[Math.floor(random() * MISBEHAVIOURS.length)] ?? "";
  return `${text}\n!tokens ${MISBEHAVES}\n${how}`;
}

export function sayIn(world: World, room: Room, more: object = {}): ReturnType<typeof say> {
  const { threadId, party } = room;
  const content = newText(room, world.random);
  const saying = say(
    party,
    { path: `/threads/${threadId}/messages`, content, threadId, more },
    world.urls,
    world.over.signal,
  );
  return saying.then((said) => {
    if (said) room.taken.push(said.message.id);
    return said;
  });
}

export function askIn<T>(
  world: World,
  room: Room,
  method: string,
  path: string,
  given: { body?: unknown; key?: string } = {},
): Promise<Asked<T> | null> {
  return ask<T>(room.party, world.urls(0), method, `/threads/${room.threadId}${path}`, given);
}

export function anyOf<T>(items: readonly T[], random: () => number): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("nothing to choose from");
  return item;
}
