/** The body of an upstream's answer as events: server-sent events, or JSON where a provider does not stream. */
import type { Readable } from "node:stream";
import { createParser } from "eventsource-parser";
import { parseJson } from "../json";
import { AFTER_FINISH_MS_MAX, EVENT_CHARS_MAX, WHOLE_BYTES_MAX } from "../limits";
import { UpstreamError } from "../upstreams/upstream-error";
import { type Chunks, chunksOf } from "./chunks";
import type { ChunkDecoder } from "./decode-chunk";
import type { UpstreamEvent } from "./upstream-event";

/** Takes the events of one read, together. What it returns is waited for before more is read. */
type TakeBatch = (events: UpstreamEvent[]) => void | Promise<void>;

/** Reads the bytes of an event stream to the end of the answer. Throws UpstreamError, what the connection threw, or what `take` does. */
export async function readStream(body: Readable, decoder: ChunkDecoder, take: TakeBatch): Promise<void> {
  let events: UpstreamEvent[] = [];
  let failure: UpstreamError | null = null;
  let done = false;
  const parser = createParser({
    maxBufferSize: EVENT_CHARS_MAX,
    onError: ({ type }) => {
      if (type === "max-buffer-size-exceeded")
        failure ??= new UpstreamError("bad_response", { code: "event_too_long" });
    },
    onEvent: ({ data }) => {
      if (done || failure) return;
      if (data.startsWith("[DONE]")) {
        done = true;
        return;
      }
      try {
        events.push(...decoder.decode(parseJson(data)));
      } catch (error) {
        failure = error instanceof UpstreamError ? error : new UpstreamError("bad_response", { cause: error });
      }
    },
  });
  const utf8 = new TextDecoder();
  const chunks = chunksOf(body);
  let ended = false;
  try {
    while (!done && !ended) {
      const next = await nextChunk(chunks, decoder);
      ended = next === null;
      parser.feed(next === null ? `${utf8.decode()}\n\n` : utf8.decode(next, { stream: true })); // the last event may lack its blank line
      if (events.length > 0) {
        const batch = events;
        events = [];
        const waits = take(batch);
        if (waits) await waits;
      }
      if (failure) throw failure;
    }
    await take(decoder.end(done));
  } finally {
    if (done) void readToEnd(chunks, body);
    else body.destroy();
  }
}

/** The next bytes; null at the end. Once the finish reason has come, an end of any kind, or none for long, is a good end. */
function nextChunk(chunks: Chunks, decoder: ChunkDecoder): Promise<Uint8Array | null> {
  return decoder.finished ? nextInTime(chunks) : chunks.next();
}

async function nextInTime(chunks: Chunks): Promise<Uint8Array | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, AFTER_FINISH_MS_MAX, null);
  });
  try {
    return await Promise.race([chunks.next().catch(() => null), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** After `[DONE]` only the end of the HTTP body is to come. Read, the connection serves again; nobody waits for it. */
async function readToEnd(chunks: Chunks, body: Readable): Promise<void> {
  const timer = setTimeout(() => body.destroy(), AFTER_FINISH_MS_MAX);
  try {
    for (let n = 0; n < END_CHUNKS_MAX; n++) if ((await chunks.next()) === null) return;
    body.destroy();
  } catch {
    // The answer is complete; how its connection ended does not matter.
  } finally {
    clearTimeout(timer);
  }
}

const END_CHUNKS_MAX = 10;

/** A whole `chat.completion`. */
export async function readWhole(
  body: AsyncIterable<Uint8Array>,
  decoder: ChunkDecoder,
  take: TakeBatch,
): Promise<void> {
  const events = decoder.decode(parseJson(await readText(body, WHOLE_BYTES_MAX)));
  await take([...events, ...decoder.end(false)]);
}

/** A body as text; UpstreamError when it is longer than so many bytes. */
export async function readText(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > bytesMax) throw new UpstreamError("bad_response", { code: "too_long" });
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
