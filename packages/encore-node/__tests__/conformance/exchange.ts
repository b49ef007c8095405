/** One HTTP exchange without a client's own ideas about paths, headers and bodies. */

import http from "node:http";

export interface Sent {
  method: string;
  path: string;
  headers?: Record<string, string> | null;
  body?: string | Buffer | null;
}

export interface Got {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** Parsed where it is JSON. */
  body: unknown;
  text: string;
}

/** "(3145728 x)" stands for that many. */
export function expandBody(body: string | null | undefined): string | null {
  const m = /^\((\d+) x\)$/.exec(body ?? "");
  return m ? "x".repeat(Number(m[1])) : (body ?? null);
}

export function exchange(base: string, sent: Sent): Promise<Got> {
  const url = new URL(base);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(sent.headers ?? {})) if (value !== "") headers[name] = value;
  if (sent.body !== null && sent.body !== undefined) headers["content-length"] = String(Buffer.byteLength(sent.body));
  else if (!["GET", "HEAD"].includes(sent.method)) headers["content-length"] = "0";
  return new Promise((resolve, reject) => {
    const options = { host: url.hostname, port: url.port, method: sent.method, path: sent.path, headers, agent: false };
    const req = http.request(options, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (c: Buffer) => chunks.push(c));
      res.on("error", reject);
      res.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: parse(text), text });
      });
    });
    req.on("error", reject);
    req.end(sent.body ?? undefined);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
