import WebSocket from "ws";
import type { Party } from "./party";

const OPEN_MS_MAX = 10_000;
const QUIET_MS = 100;
const ANSWER_MS_MAX = 5_000;

/** A WebSocket of a thread with everything that came over it, as text. */
export interface Socket {
  received: string[];
  /** Sends a message and gives back what came since, once nothing more has come for a moment. */
  ask(message: object): Promise<string[]>;
  close(): void;
}

/** Opens `GET /threads/:id/collaborate`; a socket that is refused is one that has ended, with its last message. */
export async function openSocket(
  { url, key }: Party,
  threadId: string,
  query: Record<string, string> = {},
): Promise<Socket> {
  const search = new URLSearchParams(query).toString();
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/threads/${threadId}/collaborate?${search}`, {
    headers: { authorization: `Bearer ${key}` },
    handshakeTimeout: OPEN_MS_MAX,
  });
  const received: string[] = [];
  let last = performance.now();
  socket.on("message", (data) => {
    received.push(String(data));
    last = performance.now();
    const { type, id } = JSON.parse(String(data)) as { type: string; id?: string };
    if (type === "ping") socket.send(JSON.stringify({ type: "pong", id }));
  });
  await new Promise<void>((resolve) => {
    socket.once("open", resolve);
    socket.once("error", (error) => {
      received.push(`refused: ${error.message}`);
      resolve();
    });
  });
  const settled = async (from: number) => {
    const deadline = performance.now() + ANSWER_MS_MAX;
    while (performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (received.length > from && performance.now() - last > QUIET_MS) break;
      if (received.length === from && socket.readyState === WebSocket.CLOSED) break;
    }
    return received.slice(from);
  };
  await settled(0);
  return {
    received,
    async ask(message) {
      const from = received.length;
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
      return settled(from);
    },
    close: () => socket.terminate(),
  };
}
