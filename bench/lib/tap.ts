/**
 * A transparent TCP tap before Letta. It notes when a message request arrives at it and when the first text of the answer leaves it,
 * on this process's clock. So what a hop in front of Letta adds is known inside one and the same request, and Letta's own
 * variance (ten times larger) does not enter. Every arm that talks to Letta goes through it, so all pay its cost alike.
 */

import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";

export interface Passage {
  /** performance.now() when the request's first bytes came from the client. */
  requested: number;
  /** performance.now() when bytes with the first text of the agent had come from Letta. */
  firstText: number;
}

export interface Tap {
  url: string;
  /** The last passage of a conversation; forgotten once taken. */
  take(conversationId: string): Passage | undefined;
  close(): Promise<void>;
}

const REQUEST_LINE = /^POST \/v1\/conversations\/([\w-]+)\/messages HTTP/;
const TEXT_MARK = Buffer.from('"message_type":"assistant_message"');
const HEAD_CHARACTERS = 120;
const PASSAGES_MAX = 1000;

export async function startTap(targetPort: number): Promise<Tap> {
  const passages = new Map<string, Passage>();
  const sockets = new Set<Socket>();

  const server = createServer({ noDelay: true }, (client) => {
    const letta = connect({ host: "127.0.0.1", port: targetPort, noDelay: true });
    let conversation: string | null = null;
    let requested = 0;
    client.on("data", (bytes: Buffer) => {
      const now = performance.now();
      letta.write(bytes);
      const match = REQUEST_LINE.exec(bytes.toString("latin1", 0, HEAD_CHARACTERS));
      if (match === null) return;
      conversation = match[1] ?? null;
      requested = now;
    });
    letta.on("data", (bytes: Buffer) => {
      const now = performance.now();
      client.write(bytes);
      if (conversation === null || !bytes.includes(TEXT_MARK)) return;
      passages.delete(conversation);
      passages.set(conversation, { requested, firstText: now });
      if (passages.size > PASSAGES_MAX) passages.delete(passages.keys().next().value as string);
      conversation = null;
    });
    for (const [one, other] of [
      [client, letta],
      [letta, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("end", () => other.end());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take(conversationId) {
      const passage = passages.get(conversationId);
      passages.delete(conversationId);
      return passage;
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
