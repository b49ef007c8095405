import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./server";

/** What happens to bytes on their way from the real server back to the client, or to connections. */
export type Fault =
  | { kind: "none" }
  /** Accepts and says nothing, passes nothing on. */
  | { kind: "black_hole" }
  /** Destroys the connection once so many bytes of an answer have passed. */
  | { kind: "cut"; afterBytes: number }
  /** Holds every answer back for so long. */
  | { kind: "delay"; ms: number }
  /** Overwrites what follows so many bytes of an answer. */
  | { kind: "garble"; afterBytes: number }
  /** Resets a connection that has answered before when the next request comes on it: the server's keep-alive timeout lost the race. */
  | { kind: "stale" }
  /** Replaces text of the same length in requests. */
  | { kind: "rewrite"; from: RegExp; to: string }
  /** Passes the request on and swallows the answer; `fromRequest` counts HTTP requests from 1, since the proxy was started. */
  | { kind: "swallow"; fromRequest?: number };

const REQUEST = /^(GET|POST|PUT|PATCH|DELETE) /;

/** A TCP proxy in front of a real server, to break what lies between. It injects faults; it answers nothing by itself. */
export interface TcpProxy {
  url: string;
  /** For connections and bytes from now on. */
  fault: Fault;
  /** Connections accepted so far. */
  accepted: number;
  /** HTTP requests seen so far. */
  requests: number;
  /** Closes the port and every connection: nobody listens any more. */
  goDown(): Promise<void>;
  /** Listens again, on the same port. */
  comeBack(): Promise<void>;
  /** The connections of now pass nothing on any more and stay open, as with a machine that has lost its power. */
  deafen(): void;
  /** Of those that `deafen` met, how many are still open. */
  deaf(): number;
  /** Ends idle connections from the server's side, as a keep-alive timeout does. */
  dropConnections(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(targetUrl: string): Promise<TcpProxy> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    proxy.accepted++;
    sockets.add(client);
    const upstream = connect(Number(target.port), target.hostname);
    sockets.add(upstream);
    let answered = 0;
    const end = () => {
      client.destroy();
      upstream.destroy();
      sockets.delete(client);
      sockets.delete(upstream);
    };
    for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
    client.on("data", (bytes) => {
      if (proxy.fault.kind === "stale" && answered > 0) {
        client.resetAndDestroy();
        return end();
      }
      if (REQUEST.test(bytes.subarray(0, 8).toString("latin1"))) proxy.requests++;
      answered = 0; // a new request of a kept connection
      const { fault } = proxy;
      if (fault.kind === "rewrite")
        upstream.write(Buffer.from(bytes.toString("latin1").replace(fault.from, fault.to), "latin1"));
      else if (fault.kind !== "black_hole") upstream.write(bytes);
    });
    let sent = Promise.resolve(); // keeps the order of bytes when a delay ends
    upstream.on("data", (bytes) => {
      const { fault } = proxy;
      const before = answered;
      answered += bytes.length;
      switch (fault.kind) {
        case "none":
        case "rewrite":
        case "stale":
          sent = sent.then(() => {
            if (client.writable) client.write(bytes);
          });
          break;
        case "cut":
          client.write(bytes.subarray(0, Math.max(0, fault.afterBytes - before)));
          if (answered >= fault.afterBytes) setImmediate(end);
          break;
        case "delay":
          sent = sent.then(async () => {
            await sleep(fault.ms);
            if (client.writable) client.write(bytes);
          });
          break;
        case "garble":
          client.write(
            bytes.map((byte, i) => (before + i >= fault.afterBytes && byte !== 10 && byte !== 13 ? 0x78 : byte)),
          );
          break;
        case "swallow":
          if (proxy.requests < (fault.fromRequest ?? 1)) client.write(bytes);
          break;
        case "black_hole":
          break;
      }
    });
  });
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", () => resolve()));
  const port = await freePort(); // kept while it is down: from where no outgoing connection takes it meanwhile
  await listen(port);
  const dropConnections = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  const deafened = new Set<Socket>();
  const deafen = () => {
    for (const socket of sockets) deafened.add(socket.removeAllListeners("data").resume());
  };
  const deaf = () => [...deafened].filter((socket) => sockets.has(socket)).length / 2; // both ends of each
  const goDown = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      dropConnections();
    });
  const proxy: TcpProxy = {
    url: `http://127.0.0.1:${port}`,
    fault: { kind: "none" },
    accepted: 0,
    requests: 0,
    goDown,
    comeBack: () => listen(port),
    deafen,
    deaf,
    dropConnections,
    close: async () => {
      if (server.listening) await goDown();
    },
  };
  return proxy;
}
