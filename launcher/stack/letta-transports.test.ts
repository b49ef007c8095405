import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { findPython } from "./python";
import { run } from "./run";

const HERE = dirname(fileURLToPath(import.meta.url));
const RUN_TIMEOUT_MS = 60_000;

/** As Letta and openai's client do it: an owner with an open connection is left in a cycle, and closes it from its `__del__`, in a task. */
const SCRIPT = `
import asyncio, gc, sys
import letta_transports

class Heard(asyncio.Protocol):
    def __init__(self):
        self.words = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        if not self.words.done():
            self.words.set_result(data.decode())

class Owner:
    def __init__(self, transport):
        self.transport = transport
        self.itself = self

    def __del__(self):
        asyncio.get_running_loop().create_task(self.close())

    async def close(self):
        self.transport.close()
        self.transport.abort()
        closed.append(self.transport.is_closing())

closed = []

async def greet(reader, writer):
    writer.write(b"welcome")

async def leave(port):
    transport, heard = await asyncio.get_running_loop().create_connection(Heard, "127.0.0.1", port)
    await heard.words
    transport.pause_reading()
    Owner(transport)
    return transport.get_extra_info("socket").fileno()

async def main():
    gc.disable()
    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    left = await leave(port)
    gc.collect()
    transport, heard = await asyncio.get_running_loop().create_connection(Heard, "127.0.0.1", port)
    print(transport.get_extra_info("socket").fileno() == left, await heard.words, closed)

letta_transports.mend()
asyncio.run(asyncio.wait_for(main(), 20))
`;

describe("connections of Letta's that the garbage collector closes", () => {
  it("take nothing from a new one that has got the same descriptor", async () => {
    const { path } = await findPython();
    const { code, output } = await run(path, ["-c", SCRIPT], {
      cwd: HERE,
      env: { PATH: process.env.PATH, PYTHONPATH: HERE, PYTHONDONTWRITEBYTECODE: "1" },
      timeoutMs: RUN_TIMEOUT_MS,
    });
    expect(output.trim()).toBe("True welcome [True]");
    expect(code).toBe(0);
  });
});
