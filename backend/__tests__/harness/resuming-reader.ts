import { createParser } from "eventsource-parser";
import type { Message, ThreadEvent } from "../../lib/events";

const PAUSE_MS_MIN = 100;
const CONNECT_MS_MAX = 5_000;

/** A reader as a client library is one: whenever its connection ends it comes back, somewhere, with the cursor of the last event. */
export interface ResumingReader {
  /** The last entry of the log that was given. */
  seq(): number;
  /** Connections made so far. */
  connections(): number;
  /** The text of each turn as the chunks had it. */
  spoken: Map<string, string>;
  /** The agents' messages among the entries, by turn. */
  messages: Map<string, Message>;
  /** What must not happen: a gap, an entry twice, words that do not join. */
  faults: string[];
  close(): Promise<void>;
}

interface Reading {
  /** Addresses of the servers, asked each time. */
  urls: () => string[];
  first: number;
  threadId: string;
  apiKey: string;
}

export function readResuming({ urls, first, threadId, apiKey }: Reading): ResumingReader {
  const closing = new AbortController();
  const spoken = new Map<string, string>();
  const messages = new Map<string, Message>();
  const faults: string[] = [];
  let cursor: string | undefined;
  let seq = 0;
  let isBack = false;
  let connections = 0;

  function take(id: string | undefined, event: ThreadEvent): void {
    if (event.type === "ai_chunk") {
      const known = spoken.get(event.turn_id) ?? "";
      if (event.offset !== known.length)
        faults.push(`turn ${event.turn_id}: words from ${event.offset} on after ${known.length} characters`);
      spoken.set(event.turn_id, known + event.content);
    } else if (event.type !== "caught_up" && id !== undefined) {
      const next = Number.parseInt(id, 10);
      // A new reader is shown the stored messages only; from `caught_up` on, and after it has come back, it is given every entry.
      if (isBack && next !== seq + 1) faults.push(`entry ${next} came after entry ${seq}`);
      seq = next;
      if (event.type === "message" && event.message.turn_id !== null)
        messages.set(event.message.turn_id, event.message);
    } else if (event.type === "caught_up") {
      seq = event.last_seq;
      isBack = true;
    }
    if (id !== undefined) cursor = id;
  }

  async function connectOnce(url: string): Promise<void> {
    const connecting = AbortSignal.timeout(CONNECT_MS_MAX);
    const response = await fetch(`${url}/threads/${threadId}/stream`, {
      headers: { authorization: `Bearer ${apiKey}`, ...(cursor === undefined ? {} : { "last-event-id": cursor }) },
      signal: closing.signal.aborted ? connecting : closing.signal,
    });
    if (response.status !== 200 || !response.body) {
      const text = await response.text();
      if (response.status < 500) faults.push(`refused: ${response.status} ${text}`);
      return;
    }
    connections++;
    const parser = createParser({
      onEvent: ({ id, data }) => take(id, JSON.parse(data) as ThreadEvent),
    });
    const decoder = new TextDecoder();
    for await (const bytes of response.body as AsyncIterable<Uint8Array>)
      parser.feed(decoder.decode(bytes, { stream: true }));
  }

  const reading = (async () => {
    for (let tries = 0; !closing.signal.aborted; tries++) {
      const all = urls();
      await connectOnce(all[(first + tries) % all.length] ?? "").catch(() => undefined); // broken, or nobody there: the next one
      if (!closing.signal.aborted)
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS_MIN * (1 + Math.random())));
    }
  })();

  return {
    seq: () => seq,
    connections: () => connections,
    spoken,
    messages,
    faults,
    async close() {
      closing.abort();
      await reading;
    },
  };
}
