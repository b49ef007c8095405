import { Ajv } from "ajv";
import { inject } from "vitest";
import WebSocket from "ws";
import asyncapi from "../../realtime/asyncapi.gen.json";
import type { ServerMessage } from "../../realtime/protocol";
import { adminQuery } from "../harness/database";
import { newPerson, ok, request, type TestOrganization } from "../harness/organization";

export type Of<T extends ServerMessage["type"]> = Extract<ServerMessage, { type: T }>;

/** A WebSocket with nothing of the client's comfort: what a test sends is what arrives, as it is. */
export interface RawSocket {
  received: ServerMessage[];
  /** The messages of one type so far. */
  of<T extends ServerMessage["type"]>(type: T): Of<T>[];
  /** Sends anything: an object as JSON, a text as it is. */
  send(message: unknown): void;
  /** Resolves once `done` holds; rejects with what came when it does not in time. */
  until(done: (received: ServerMessage[]) => boolean, ms?: number): Promise<ServerMessage[]>;
  /** The first message of a type, or the first for which `which` holds. */
  first<T extends ServerMessage["type"]>(type: T, which?: (message: Of<T>) => boolean, ms?: number): Promise<Of<T>>;
  /** Stops reading from the network, so that everything backs up to the server. */
  pause(): void;
  resume(): void;
  /** Breaks the connection without a word. */
  cut(): void;
  /** Resolves when the socket is closed. */
  closed: Promise<void>;
}

interface Opening {
  at?: string;
  key?: string;
  cursor?: string;
  tab?: string;
  /** Answers pings, as every client must. True unless said otherwise. */
  pongs?: boolean;
}

const WAIT_MS = 20_000;

const ajv = new Ajv({ strict: false, schemas: { asyncapi } });
const checks = Object.fromEntries(
  asyncapi.operations.serverSays.messages.map(({ $ref }) => {
    const name = $ref.split("/").at(-1) as keyof typeof asyncapi.components.messages;
    return [asyncapi.components.messages[name].name, ajv.compile({ $ref: `asyncapi#/components/schemas/${name}` })];
  }),
);

/** Whatever the server sends in any test is as its description says, or the test's process fails. */
function fitting(message: ServerMessage): ServerMessage {
  const check = checks[message.type];
  if (!check?.(message))
    throw new Error(`not as described: ${JSON.stringify(message)}: ${JSON.stringify(check?.errors)}`);
  return message;
}

export async function openSocket(
  org: TestOrganization,
  threadId: string,
  { at = org.url, key = org.apiKey, cursor, tab, pongs = true }: Opening = {},
): Promise<RawSocket> {
  const query = new URLSearchParams({ ...(cursor ? { cursor } : {}), ...(tab ? { tab } : {}) });
  const socket = new WebSocket(`${at.replace("http", "ws")}/threads/${threadId}/collaborate?${query}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  const received: ServerMessage[] = [];
  let wake = () => {};
  socket.on("message", (data) => {
    const message = fitting(JSON.parse(String(data)) as ServerMessage);
    received.push(message);
    if (message.type === "ping" && pongs) socket.send(JSON.stringify({ type: "pong", id: message.id }));
    wake();
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  socket.on("error", () => undefined); // a connection that a test breaks

  const raw: RawSocket = {
    received,
    of: (type) => received.filter((message): message is Of<typeof type> => message.type === type),
    send: (message) => socket.send(typeof message === "string" ? message : JSON.stringify(message)),
    async until(done, ms = WAIT_MS) {
      const deadline = Date.now() + ms;
      while (!done(received)) {
        const left = deadline - Date.now();
        if (left <= 0) throw new Error(`not received in ${ms} ms; received: ${JSON.stringify(received, null, 1)}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      return received;
    },
    async first(type, which = () => true, ms) {
      const find = () => raw.of(type).find(which);
      await raw.until(() => find() !== undefined, ms);
      return find() as Of<typeof type>;
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    cut: () => socket.terminate(),
    closed,
  };
  return raw;
}

/** Messages of the log's kind `message`, as they came. */
export function texts(received: ServerMessage[]): string[] {
  return received.flatMap((message) =>
    message.type === "event" && message.event.type === "message" ? [message.event.message.content] : [],
  );
}

/** A member of the organization with a key of their own. (Over HTTP a key acts for whoever made it, and members make none.) */
export async function memberOf(org: TestOrganization, name: string): Promise<TestOrganization & { keyId: string }> {
  const userId = await newPerson(org, name);
  const key = await ok(org.call<{ id: string; api_key: string }>("POST", "/api-keys", { name }));
  await adminQuery(inject("graphyn").adminUrl, "update api_keys set user_id = $1 where id = $2", [userId, key.id]);
  return {
    ...org,
    userId,
    apiKey: key.api_key,
    keyId: key.id,
    call: (method, path, body, headers) =>
      request(org.url, method, path, body, { authorization: `Bearer ${key.api_key}`, ...headers }),
  };
}
