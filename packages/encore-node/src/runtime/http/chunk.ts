/** Chunks of HTTP/1.1's chunked encoding (RFC 9112, 7.1). */

const CR = 0x0d;
const LF = 0x0a;

let last: { of: Buffer; chunk: Buffer } | null = null;

/** A buffer as a chunk. One that is asked for again in the same turn of the event loop is the same chunk: afterwards its owner may have changed it. */
export function chunkOf(buf: Buffer): Buffer {
  if (last?.of === buf) return last.chunk;
  const size = buf.length.toString(16);
  const chunk = Buffer.allocUnsafe(size.length + buf.length + 4);
  let at = chunk.write(size, "latin1");
  chunk[at++] = CR;
  chunk[at++] = LF;
  at += buf.copy(chunk, at);
  chunk[at++] = CR;
  chunk[at] = LF;
  if (last === null) process.nextTick(forget);
  last = { of: buf, chunk };
  return chunk;
}

function forget(): void {
  last = null;
}
