import type { Person, ServerMessage } from "../../../backend/realtime/protocol";
import type { CollaborateOptions } from "./options";

/** Who is here, who types, who has read how far, as the server last said. */
export interface People {
  readonly here: ReadonlyMap<string, Person>;
  readonly typing: ReadonlySet<string>;
  readonly reads: ReadonlyMap<string, number>;
  take(message: ServerMessage): void;
}

export function makePeople({
  onPerson,
  onTyping,
  onRead,
}: Pick<CollaborateOptions, "onPerson" | "onTyping" | "onRead">): People {
  const here = new Map<string, Person>();
  const typing = new Map<string, NodeJS.Timeout | number>();
  const reads = new Map<string, number>();

  function see(person: Person): void {
    if (JSON.stringify(here.get(person.user_id)) === JSON.stringify(person)) return;
    if (person.tabs.length === 0) here.delete(person.user_id);
    else here.set(person.user_id, person);
    onPerson?.(person);
  }
  function setTyping(userId: string, forMs: number): void {
    const was = typing.get(userId);
    clearTimeout(was);
    if (forMs > 0)
      typing.set(
        userId,
        setTimeout(() => setTyping(userId, 0), forMs),
      );
    else typing.delete(userId);
    if ((was !== undefined) !== forMs > 0) onTyping?.(userId, forMs > 0);
  }
  function read(userId: string, seq: number): void {
    if ((reads.get(userId) ?? -1) >= seq) return;
    reads.set(userId, seq);
    onRead?.(userId, seq);
  }

  return {
    here,
    get typing() {
      return new Set(typing.keys());
    },
    reads,
    take(message) {
      switch (message.type) {
        case "welcome": {
          const now = new Set(message.people.map(({ user_id }) => user_id));
          for (const person of [...here.values()]) if (!now.has(person.user_id)) see({ ...person, tabs: [] });
          for (const userId of [...typing.keys()]) setTyping(userId, 0);
          for (const person of message.people) see(person);
          for (const { user_id, seq } of message.reads) read(user_id, seq);
          break;
        }
        case "person":
          see(message.person);
          break;
        case "typing":
          setTyping(message.user_id, message.typing ? message.expires_in_ms : 0);
          break;
        case "read":
          read(message.user_id, message.seq);
          break;
        default:
          break;
      }
    },
  };
}
