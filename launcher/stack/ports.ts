import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const LOOPBACK = "127.0.0.1";
/** Below the ports that systems give to outgoing connections (Linux from 32768, macOS from 49152), so they stay free between starts. */
const INNER_PORT_MIN = 20_000;
const INNER_PORT_MAX = 29_999;
const ATTEMPTS_MAX = 50;

/** Whether a server could listen on this port of `host` now. */
export function isPortFree(port: number, host: string = LOOPBACK): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The remembered port if it is still free, else another: inner servers keep their ports between starts where they can. */
export async function keepOrChoosePort(remembered: number | undefined): Promise<number> {
  if (remembered !== undefined && (await isPortFree(remembered))) return remembered;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const port = randomInt(INNER_PORT_MIN, INNER_PORT_MAX + 1);
    if (await isPortFree(port)) return port;
  }
  throw new Error(`no free port found between ${INNER_PORT_MIN} and ${INNER_PORT_MAX}`);
}
