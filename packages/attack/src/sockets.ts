import { type Finding, finding, leaked, leakIn } from "./finding";
import { must } from "./http";
import { nobodys } from "./ids";
import type { Party } from "./party";
import { openSocket } from "./socket";

/** What of an AsyncAPI document is read: the messages that a client says, each with an example. */
export interface SocketDocument {
  operations: { clientSays: { messages: { $ref: string }[] } };
  components: { messages: Record<string, { name: string; examples?: { payload: Record<string, unknown> }[] }> };
}

/** Fields of a message that name it, and are no id of anything. */
const OWN_FIELDS = new Set(["type", "id"]);
const KINDS = ["thread", "msg", "turn", "user", "agent", "part"];

/** The handshake on the victim's thread and with its cursor, and every message on an own thread with the victim's ids in each field. */
export async function attackSockets(
  document: SocketDocument,
  victim: Party,
  attacker: Party,
): Promise<{ tried: number; findings: Finding[] }> {
  const findings: Finding[] = [];
  let tried = 0;
  const compare = (at: string, foreign: string[], missing: string[], sent: [string, string]) => {
    tried++;
    const leak = leakIn(victim, foreign.join("\n"), [sent[0]]);
    if (leak) findings.push(leaked(at, leak, foreign.join("\n")));
    const [a, b] = [masked(foreign, sent[0]), masked(missing, sent[1])];
    if (a !== b) findings.push(finding(at, "tells what is another's from what is not there", `${a}\n---\n${b}`));
  };
  const first = async (thread: string, query: Record<string, string> = {}) => {
    const socket = await openSocket(attacker, thread, query);
    socket.close();
    return socket.received;
  };
  const [theirs = "", cursor = ""] = [victim.ids.thread?.[0], victim.ids.cursor?.[0]];
  const nobodysThread = nobodys(theirs);
  compare("the handshake: the victim's thread", await first(theirs), await first(nobodysThread), [
    theirs,
    nobodysThread,
  ]);

  const { thread } = await must<{ thread: { id: string } }>(attacker.url, {
    method: "POST",
    path: "/threads",
    key: attacker.key,
    body: { title: "Own" },
  });
  const madeUp = nobodys(cursor);
  const [withTheirs, withMadeUp] = [await first(thread.id, { cursor }), await first(thread.id, { cursor: madeUp })];
  compare("the handshake: the victim's cursor", withTheirs.slice(-1), withMadeUp.slice(-1), [cursor, madeUp]);

  const socket = await openSocket(attacker, thread.id);
  let name = 0;
  for (const { $ref } of document.operations.clientSays.messages) {
    const message = document.components.messages[$ref.split("/").at(-1) ?? ""];
    const example = message?.examples?.[0]?.payload;
    if (!message || !example || !("id" in example) || message.name === "pong") continue;
    for (const field of new Set([...Object.keys(example), ...(EXTRA_FIELDS[message.name] ?? [])])) {
      if (OWN_FIELDS.has(field) || (field in example && !isText(example[field]))) continue;
      const isList = Array.isArray(example[field]) || field === "mentions";
      for (const kind of KINDS) {
        const id = victim.ids[kind]?.[0];
        if (id === undefined) continue;
        const other = nobodys(id);
        const ask = async (value: string) => {
          const own = `m${++name}`;
          const heard = await socket.ask({ ...base(example), [field]: isList ? [value] : value, id: own });
          return heard.filter((text) => text.includes(`"id":"${own}"`));
        };
        compare(`${message.name}: ${field}`, await ask(id), await ask(other), [id, other]);
      }
    }
  }
  socket.close();
  return { tried, findings };
}

/** Optional fields that name something and that an example may leave out. */
const EXTRA_FIELDS: Record<string, string[]> = {
  send: ["mentions", "sender_id"],
  cancel: ["turn_id"],
  react: ["message_id"],
};

/** An example without the ids it came with: they are nobody's, and would be what is refused. */
function base(example: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(example).filter(([key, value]) => !/_ids?$|^mentions$/.test(key) || !isText(value)),
  );
}

function isText(value: unknown): boolean {
  return typeof value === "string" || (Array.isArray(value) && value.every((one) => typeof one === "string"));
}

/** What came, without what each connection and each moment has for itself. */
function masked(texts: string[], sent: string): string {
  return texts
    .map((text) =>
      text
        .replaceAll(sent, "«sent»")
        .replaceAll(/\b(conn|tab|msg|turn)_[0-9a-z]{26}\b/g, "$1_…")
        .replaceAll(/"(id|cursor|since|created_at|connection_id|tab)":"[^"]*"/g, '"$1":"…"')
        .replaceAll(/\d+/g, "#"),
    )
    .sort()
    .join("\n");
}
