import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { oneValue } from "../../lib/header";
import type { TestOrganization } from "./organization";

/** A proxy for clients that cannot set a header, which ends connections in the middle: their streams break off at any byte. */
export interface CuttingProxy {
  url: string;
  /** `Last-Event-ID` of each stream that was asked for, in order. */
  asked: (string | undefined)[];
  /** Streams that were cut. */
  cuts: number;
  /** Resolves with what a page posts to /result. */
  result: Promise<string>;
  close(): Promise<void>;
}

interface Cutting {
  org: TestOrganization;
  /** What `/` shows. */
  page?: string;
  /** Bytes of the body after which the stream with this number is cut; null: it is not. */
  cutAfter(stream: number): number | null;
}

export async function startCuttingProxy({ org, page = "", cutAfter }: Cutting): Promise<CuttingProxy> {
  let posted: (body: string) => void = () => {};
  const target = new URL(org.url);
  const server = createServer((req, resp) => {
    if (req.url === "/") resp.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(page);
    else if (req.url === "/result") void takeResult(req, resp);
    else if (req.url?.startsWith("/threads/")) pass(req, resp);
    else resp.writeHead(404).end();
  });

  async function takeResult(req: IncomingMessage, resp: ServerResponse): Promise<void> {
    posted(await bodyOf(req));
    resp.end();
  }

  function pass(req: IncomingMessage, resp: ServerResponse): void {
    const lastId = oneValue(req.headers["last-event-id"]);
    let left = cutAfter(proxy.asked.length);
    proxy.asked.push(lastId);
    const headers = {
      authorization: `Bearer ${org.apiKey}`,
      ...(lastId === undefined ? {} : { "last-event-id": lastId }),
    };
    const up = request({ host: target.hostname, port: target.port, path: req.url, headers }, (answer) => {
      resp.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on("data", (bytes: Buffer) => {
        if (left === null || bytes.length < left) {
          if (left !== null) left -= bytes.length;
          resp.write(bytes);
        } else if (left > 0) {
          proxy.cuts++;
          // What came before the cut arrives; then the connection is gone, in the middle of whatever it was.
          resp.write(bytes.subarray(0, left), () => resp.destroy());
          left = 0;
          up.destroy();
        }
      });
      answer.on("end", () => resp.end());
      answer.on("error", () => undefined);
    });
    up.on("error", () => undefined);
    up.end();
    resp.on("close", () => up.destroy());
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const proxy: CuttingProxy = {
    url: `http://127.0.0.1:${address.port}`,
    asked: [],
    cuts: 0,
    result: new Promise((resolve) => {
      posted = resolve;
    }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of req) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
