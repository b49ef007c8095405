import WebSocket from "ws";
import {
  type CollaborateOptions,
  type Collaboration,
  collaborate,
  type State,
} from "../../../packages/collaborate-client/src/index";
import type { ThreadEvent } from "../../lib/events";
import type { TestOrganization } from "../harness/organization";

export interface TestClient extends Collaboration {
  events: ThreadEvent[];
  states: State[];
  /** Resolves once `done` holds. */
  until(done: () => boolean, ms?: number): Promise<void>;
}

const WAIT_MS = 30_000;
const LOOK_MS = 20;

/** The reference client, as a browser would run it, and what it was given. */
export function openClient(
  org: TestOrganization,
  threadId: string,
  options: Partial<CollaborateOptions> = {},
): TestClient {
  const events: ThreadEvent[] = [];
  const states: State[] = [];
  const client = collaborate({
    url: org.url,
    apiKey: () => org.apiKey,
    threadId,
    WebSocket: WebSocket as unknown as NonNullable<CollaborateOptions["WebSocket"]>,
    onEvent: (event) => events.push(event),
    onState: (state) => states.push(state),
    ...options,
  });
  return Object.assign(Object.create(client) as Collaboration, {
    events,
    states,
    async until(done: () => boolean, ms = WAIT_MS) {
      const deadline = Date.now() + ms;
      while (!done()) {
        if (Date.now() > deadline)
          throw new Error(`not so after ${ms} ms; ${client.state}, ${JSON.stringify(events.slice(-10), null, 1)}`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    },
  });
}

/** The places in the log of what was given, chunks aside. */
export function seqs(events: ThreadEvent[]): number[] {
  return events.flatMap((event) => (event.type === "message" ? [event.message.seq] : []));
}

/** Each turn's words as they came. */
export function spoken(events: ThreadEvent[]): Map<string, string> {
  const words = new Map<string, string>();
  for (const event of events) {
    if (event.type !== "ai_chunk") continue;
    const before = words.get(event.turn_id) ?? "";
    if (event.offset !== before.length) throw new Error(`words at ${event.offset}, after ${before.length} characters`);
    words.set(event.turn_id, before + event.content);
  }
  return words;
}
