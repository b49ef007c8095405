/** A WebSocket conversation written down the way the recordings are. */

import { WebSocket } from "ws";

/** Nothing more came for this long: the client closes. */
const IDLE_MS = 2_500;
const CLOSED_BY_CLIENT = 1000;

export type LogEntry =
  | { upgrade: number; protocol?: string }
  | { message: unknown }
  | { idle: true }
  | { close: number; reason: string }
  | { refused: number; body: unknown };

export interface Script {
  path: string;
  headers?: Record<string, string>;
  protocols?: string[];
  sends: unknown[];
}

/** Strings are sent as they are, anything else as JSON. */
export function converse(base: string, script: Script): Promise<LogEntry[]> {
  const log: LogEntry[] = [];
  const ws = new WebSocket(base.replace(/^http/, "ws") + script.path, script.protocols ?? [], {
    headers: script.headers ?? {},
    perMessageDeflate: false,
  });
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const quiet = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        log.push({ idle: true });
        ws.close(CLOSED_BY_CLIENT);
        log.push({ close: CLOSED_BY_CLIENT, reason: "" });
        ws.on("close", () => resolve(log));
        ws.off("close", onClose);
      }, IDLE_MS);
    };
    const onClose = (code: number, reason: Buffer): void => {
      clearTimeout(timer);
      log.push({ close: code, reason: reason.toString() });
      resolve(log);
    };
    ws.on("unexpected-response", (_req, res) => {
      const chunks: Buffer[] = [];
      res.on("data", (c: Buffer) => chunks.push(c));
      res.on("end", () => {
        const body: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8") || "null");
        resolve([{ refused: res.statusCode ?? 0, body }]);
      });
    });
    ws.on("open", () => {
      log.push({ upgrade: 101, ...(ws.protocol ? { protocol: ws.protocol } : {}) });
      for (const message of script.sends) ws.send(typeof message === "string" ? message : JSON.stringify(message));
      quiet();
    });
    ws.on("message", (data: Buffer) => {
      log.push({ message: JSON.parse(data.toString("utf8")) });
      quiet();
    });
    ws.on("close", onClose);
    ws.on("error", (e) => (log.length === 0 ? reject(e) : undefined));
  });
}
