/** The HTTP server's life: listen, serve, and on a signal drain within the time given. */

import { createServer, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { App } from "./http/app.js";
import { serve } from "./http/gateway.js";
import { endEventStreams } from "./http/invoke.js";
import { makeUpgrader } from "./stream/upgrade.js";

/** Head of a request, all headers together (hyper's default is larger; nobody honest needs more). */
const HEADER_BYTES = 64 * 1024;
const HEADERS_TIMEOUT_MS = 60_000;
/** What streams are left after the signal for last words; requests have the whole time. */
const STREAM_GRACE_MS = 250;
/** For a request to arrive, its body included; answers may take longer. */
const REQUEST_TIMEOUT_MS = 300_000;
const KEEP_ALIVE_MS = 65_000;

export interface RunningServer {
  port: number;
  /** Resolves when all is finished or cut. */
  stop(drainMs: number): Promise<void>;
}

export async function startServer(app: App): Promise<RunningServer> {
  const open = new Set<ServerResponse>();
  const silent = new Set<Socket>();
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      noDelay: true,
    },
    (req, res) => {
      silent.delete(req.socket);
      open.add(res);
      res.on("close", () => open.delete(res));
      serve(app, req, res);
    },
  );
  const upgrader = makeUpgrader(app, (socket, bytes) => {
    socket.unshift(bytes);
    server.emit("connection", socket);
  });
  server.on("connection", (socket) => {
    silent.add(socket);
    socket.once("close", () => silent.delete(socket));
  });
  server.on("upgrade", (req, socket, head) => {
    silent.delete(req.socket);
    upgrader.handle(req, socket, head);
  });
  server.on("clientError", (_e, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    else socket.destroy();
  });
  await listen(server, app);
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : app.config.port;
  return {
    port,
    async stop(drainMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const settled = closed.then(() => upgrader.closed());
      server.closeIdleConnections();
      for (const res of open) if (!res.headersSent) res.shouldKeepAlive = false;
      const streams = setTimeout(
        () => {
          endEventStreams();
          upgrader.close();
        },
        Math.min(STREAM_GRACE_MS, drainMs / 2),
      );
      const idle = setInterval(() => {
        server.closeIdleConnections();
        // Browsers and fetch open connections ahead of need; Node counts one without its first request as busy.
        for (const socket of silent) if (socket.bytesRead === 0) socket.destroy();
      }, 50);
      const cut = setTimeout(() => {
        upgrader.terminate();
        server.closeAllConnections();
      }, drainMs);
      await settled;
      clearTimeout(streams);
      clearInterval(idle);
      clearTimeout(cut);
    },
  };
}

function listen(server: Server, app: App): Promise<void> {
  const { host, port } = app.config;
  return new Promise((resolve, reject) => {
    server.once("error", (e: NodeJS.ErrnoException) => {
      reject(
        e.code === "EADDRINUSE"
          ? new Error(`encore-node: ${host}:${port} is taken by another program; stop it or set ENCORE_NODE_PORT`)
          : new Error(`encore-node: cannot listen on ${host}:${port}: ${e.message}`),
      );
    });
    server.listen(port, host, () => resolve());
  });
}
