import { createParser } from "eventsource-parser";
import type { ThreadEvent } from "../../lib/events";
import type { TestOrganization } from "./organization";

export interface Received {
  id: string | undefined;
  event: ThreadEvent;
}

/** A reader of a thread's stream. */
export interface StreamReader {
  received: Received[];
  /** Resolves with everything received once `done` holds; rejects with what came when it does not in time. */
  until(done: (received: Received[]) => boolean, ms?: number): Promise<Received[]>;
  close(): Promise<void>;
}

const WAIT_MS = 30_000;

/**
 * Opens a stream and waits until it has caught up: a new reader is shown messages of the past, not the turns, and what is said while it
 * still reads the past is past.
 */
export async function openStream(
  org: TestOrganization,
  threadId: string,
  lastEventId?: string,
  url = org.url,
): Promise<StreamReader> {
  const controller = new AbortController();
  const response = await fetch(`${url}/threads/${threadId}/stream`, {
    headers: {
      authorization: `Bearer ${org.apiKey}`,
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
    },
    signal: controller.signal,
  });
  if (response.status !== 200 || !response.body)
    throw new Error(`no stream: ${response.status} ${await response.text()}`);

  const received: Received[] = [];
  let wake = () => {};
  let broken: unknown = null;
  const parser = createParser({
    onEvent: ({ id, event, data }) => {
      const parsed = JSON.parse(data) as ThreadEvent;
      if (parsed.type !== event) throw new Error(`event ${event} says it is ${parsed.type}`);
      received.push({ id, event: parsed });
      wake();
    },
  });
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of response.body as AsyncIterable<Uint8Array>)
      parser.feed(decoder.decode(bytes, { stream: true }));
  })().catch((error: unknown) => {
    // A server that is killed in a test breaks its streams: whoever still waits is told, whoever closes need not care.
    broken = error;
    wake();
  });

  const reader: StreamReader = {
    received,
    async until(done, ms = WAIT_MS) {
      const deadline = Date.now() + ms;
      while (!done(received)) {
        const left = deadline - Date.now();
        if (broken !== null) throw new Error(`the stream broke: ${String(broken)}`);
        if (left <= 0) throw new Error(`not received in ${ms} ms; received: ${JSON.stringify(received, null, 1)}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      return received;
    },
    async close() {
      controller.abort();
      await reading;
    },
  };
  await reader.until(() => received.some(({ event }) => event.type === "caught_up"));
  return reader;
}

/** The events of one type. */
export function ofType<T extends ThreadEvent["type"]>(
  received: Received[],
  type: T,
): Extract<ThreadEvent, { type: T }>[] {
  return received.flatMap(({ event }) => (event.type === type ? [event as Extract<ThreadEvent, { type: T }>] : []));
}

/** Whether so many turns have ended, one way or another. */
export function turnsEnded(count: number): (received: Received[]) => boolean {
  return (received) =>
    received.filter(({ event }) => ["turn_completed", "turn_cancelled", "agent_error"].includes(event.type)).length >=
    count;
}
