/** The dev model's embeddings through a server that holds requests back while it is told to. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface HeldEmbeddings {
  /** For EMBEDDINGS_API_BASE. */
  readonly base: string;
  /** Requests that wait to be answered. */
  waiting(): number;
  /** Answers what waits, and from now on what comes. */
  release(): void;
  close(): void;
}

export async function holdEmbeddings(): Promise<HeldEmbeddings> {
  const held: (() => void)[] = [];
  let isHolding = true;
  const server = createServer((req, resp) => {
    if (isHolding) held.push(() => void passOn(req, resp));
    else void passOn(req, resp);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    waiting: () => held.length,
    release: () => {
      isHolding = false;
      for (const answer of held) answer();
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function passOn(req: IncomingMessage, resp: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of req) parts.push(part as Buffer);
  const answer = await fetch(`${process.env.DEV_MODEL_URL}${req.url}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: Buffer.concat(parts).toString(),
  });
  resp.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
}
