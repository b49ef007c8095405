import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { Writable } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { chunkOf } from "../../src/runtime/http/chunk.js";
import { callRaw, ResponseWriter } from "../../src/runtime/http/raw.js";

/** Longer than what the system takes for a client that does not read. */
const MUCH_BYTES = 24 << 20;
const PIECES = 400;

let server: Server | null = null;
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
  server = null;
});

/** Answers with what `act` writes; resolves with the client's socket, which has sent nothing yet. */
async function client(act: (writer: ResponseWriter) => void): Promise<Socket> {
  server = createServer((_req, res) => act(new ResponseWriter(res, [])));
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  sockets.push(socket);
  return socket;
}

async function allOf(socket: Socket): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("latin1");
}

/** The body of a chunked answer. Throws at anything that is none. */
function unchunk(answer: string): string {
  let at = answer.indexOf("\r\n\r\n") + 4;
  let body = "";
  for (;;) {
    const line = answer.indexOf("\r\n", at);
    const size = Number.parseInt(answer.slice(at, line), 16);
    body += answer.slice(line + 2, line + 2 + size);
    at = line + 2 + size;
    if (answer.slice(at, at + 2) !== "\r\n") throw new Error(`no end of a chunk at ${at}`);
    at += 2;
    if (size === 0) return body;
  }
}

const nextTick = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("the pieces of a raw answer (ENC-1)", () => {
  it("come in order, whole and once, also when the client takes nothing for a while, and each is reported taken", async () => {
    let taken = 0;
    let takenBeforeReading = 0;
    const piece = (i: number) => `${i}:`.padEnd(MUCH_BYTES / PIECES, "x");
    const socket = await client(async (writer) => {
      writer.writeHead(200, { "Content-Type": "text/plain" });
      for (let i = 0; i < PIECES; i++) {
        writer.writeBody(Buffer.from(piece(i)), () => taken++);
        if (i % 50 === 0) await nextTick();
      }
      takenBeforeReading = taken;
      writer.close();
    });
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await new Promise((resolve) => setTimeout(resolve, 100));
    const body = unchunk(await allOf(socket));
    expect(body).toBe(Array.from({ length: PIECES }, (_, i) => piece(i)).join(""));
    expect(taken).toBe(PIECES);
    expect(takenBeforeReading).toBeLessThan(PIECES);
  });

  it("go past the application's response while nothing waits, and queue there in order when the client is slow", async () => {
    /** As encore.dev's RawResponse. */
    class Response extends Writable {
      constructor(private readonly w: ResponseWriter) {
        super();
      }
      override _write(chunk: Buffer, _encoding: string, callback: () => void) {
        this.w.writeBody(chunk, callback);
      }
      override _final(callback: () => void) {
        this.w.close(undefined, callback);
      }
    }
    let queued = 0;
    let queuedAtOnce = -1;
    const piece = (i: number) => `${i}:`.padEnd(MUCH_BYTES / PIECES, "x");
    const socket = await client((writer) => {
      writer.writeHead(200, { "Content-Type": "text/plain" });
      const { result } = callRaw(async () => {
        const response = new Response(writer);
        response.write(Buffer.from(piece(0)));
        await nextTick();
        await nextTick();
        for (let i = 1; i < PIECES; i++) {
          response.write(Buffer.from(piece(i)));
          if (i === 1) queuedAtOnce = response.writableLength;
          if (i % 50 === 0) await nextTick();
        }
        queued = response.writableLength;
        response.end();
      }, writer);
      void result;
    });
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await new Promise((resolve) => setTimeout(resolve, 100));
    const body = unchunk(await allOf(socket));
    expect(body).toBe(Array.from({ length: PIECES }, (_, i) => piece(i)).join(""));
    expect(queuedAtOnce).toBe(0);
    expect(queued).toBeGreaterThan(0);
  });

  it("come together in one write where they were written together", async () => {
    const socket = await client(async (writer) => {
      writer.writeHead(200, { "Content-Type": "text/plain" });
      writer.writeBody(Buffer.from("first"));
      await nextTick();
      writer.writeBodyMulti([Buffer.from("a"), Buffer.from(""), Buffer.from("bc")]);
      writer.close(Buffer.from("end"));
    });
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(unchunk(await allOf(socket))).toBe("firstabcend");
  });

  it("are no chunks for HTTP/1.0, and none at all for HEAD", async () => {
    const act = async (writer: ResponseWriter) => {
      writer.writeHead(200, { "Content-Type": "text/plain" });
      writer.writeBody(Buffer.from("one "));
      await nextTick();
      writer.writeBody(Buffer.from("two"));
      writer.close();
    };
    const old = await client(act);
    old.write("GET / HTTP/1.0\r\n\r\n");
    expect((await allOf(old)).split("\r\n\r\n")[1]).toBe("one two");
    server?.close();
    const head = await client(act);
    head.write("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect((await allOf(head)).split("\r\n\r\n")[1]).toBe("");
  });

  it("wait for the answer before theirs on the same connection", async () => {
    let first: ResponseWriter | null = null;
    const socket = await client(async (writer) => {
      if (first === null) {
        first = writer;
        return;
      }
      writer.writeHead(200, { "Content-Type": "text/plain" });
      writer.writeBody(Buffer.from("second "));
      await nextTick();
      writer.writeBody(Buffer.from("answer"));
      writer.close();
      await nextTick();
      first.writeHead(200, { "Content-Type": "text/plain" });
      first.writeBody(Buffer.from("first "));
      await nextTick();
      first.writeBody(Buffer.from("answer"));
      first.close();
    });
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const all = await allOf(socket);
    const at = all.indexOf("HTTP/1.1", 1);
    expect(unchunk(all.slice(0, at))).toBe("first answer");
    expect(unchunk(all.slice(at))).toBe("second answer");
  });
});

describe("a chunk (ENC-1)", () => {
  it("is made once for a buffer that many are given, and anew when its owner may have changed it", async () => {
    const buf = Buffer.from("hello, many readers");
    expect(chunkOf(buf).toString()).toBe("13\r\nhello, many readers\r\n");
    expect(chunkOf(buf)).toBe(chunkOf(buf));
    await Promise.resolve();
    await nextTick();
    buf.write("HELLO");
    expect(chunkOf(buf).toString()).toBe("13\r\nHELLO, many readers\r\n");
    expect(chunkOf(Buffer.from("other")).toString()).toBe("5\r\nother\r\n");
  });
});
