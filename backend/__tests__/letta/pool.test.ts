import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { LETTA_DIR } from "../../../launcher/stack/install-letta";
import { startTcpProxy } from "../harness/tcp-proxy";

const STACK = fileURLToPath(new URL("../../../launcher/stack", import.meta.url));
const run = promisify(execFile);
/** Well below what the pool waits for a connection. */
const HEARD_MS = 500;

/** In Letta's own Python, with the function that its pool opens connections with. */
const CONNECT = `
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from letta_connect import connect
async def main():
    connection = await connect(sys.argv[2], timeout=30)
    print(await connection.fetchval("select 'open'"))
    await connection.close()
asyncio.run(main())`;

it("Letta's pool tries again where a connection to its database does not open (LET-2, LET-8)", async () => {
  const server = process.env.TEST_DATABASE_URL;
  if (!server) throw new Error("TEST_DATABASE_URL is not set: run the tests with ./graphyn test");
  const proxy = await startTcpProxy(server);
  proxy.fault = { kind: "black_hole" };
  const through = new URL(server);
  through.host = new URL(proxy.url).host;
  through.searchParams.set("sslmode", "disable");
  try {
    const python = join(LETTA_DIR, ".venv", "bin", "python");
    const opened = run(python, ["-c", CONNECT, STACK, through.href]);
    await expect.poll(() => proxy.accepted, { timeout: 20_000 }).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, HEARD_MS)); // what it says first is lost, too
    proxy.fault = { kind: "none" };
    expect((await opened).stdout.trim()).toBe("open");
    expect(proxy.accepted).toBe(2);
  } finally {
    await proxy.close();
  }
}, 60_000);
