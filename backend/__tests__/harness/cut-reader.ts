import { request } from "node:http";
import { createParser } from "eventsource-parser";
import type { ThreadEvent } from "../../lib/events";
import { disconnected, type Journal, write } from "./journal";
import type { TestOrganization } from "./organization";

interface CutReading {
  org: TestOrganization;
  threadId: string;
  /** Where this connection goes. */
  url: string;
  journal: Journal;
  /** Bytes of the body after which it is cut; null: not by bytes. */
  cutAfter: number | null;
  /** Cuts it too. */
  signal?: AbortSignal;
  isDone?(journal: Journal): boolean;
}

/** How long a connection may last, whatever happens on it. */
const CONNECTION_MS_MAX = 40_000;

/**
 * One connection to a thread's stream that goes on where the journal stands, and is cut at a byte. Resolves when it is over, also when the
 * server could not be reached; rejects when it was refused, or was given what must never happen.
 */
export function readUntilCut({
  org,
  threadId,
  url,
  journal,
  cutAfter,
  signal,
  isDone = () => false,
}: CutReading): Promise<void> {
  return new Promise((resolve, reject) => {
    const decoder = new TextDecoder();
    const parser = createParser({
      onEvent: ({ id, data }) => write(journal, id, JSON.parse(data) as ThreadEvent),
    });
    let left = cutAfter ?? Number.POSITIVE_INFINITY;
    const over = () => {
      disconnected(journal);
      resolve();
    };
    const asked = request(`${url}/threads/${threadId}/stream`, {
      headers: {
        authorization: `Bearer ${org.apiKey}`,
        ...(journal.lastId === null ? {} : { "last-event-id": journal.lastId }),
      },
      signal: AbortSignal.any([AbortSignal.timeout(CONNECTION_MS_MAX), ...(signal ? [signal] : [])]),
    });
    asked.on("error", over); // nobody there, or cut
    asked.on("close", over);
    asked.on("response", (answer) => {
      if (answer.statusCode !== 200)
        return reject(new Error(`the stream was refused: ${answer.statusCode} with ${journal.lastId}`));
      answer.on("error", over);
      answer.on("data", (bytes: Buffer) => {
        try {
          parser.feed(decoder.decode(bytes.subarray(0, Math.min(left, bytes.length)), { stream: true }));
        } catch (error) {
          reject(error);
          asked.destroy();
          return;
        }
        left -= bytes.length;
        if (left <= 0 || isDone(journal)) asked.destroy();
      });
    });
    asked.end();
  });
}
