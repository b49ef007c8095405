/** A client of the WebSocket, the reference one: it reads, and says something now and then. */
import { randomUUID } from "node:crypto";
import WebSocket from "ws";
import { disconnected, newJournal, write } from "../../backend/__tests__/harness/journal";
import type { Posted, Reading } from "../../backend/__tests__/harness/oracle/history";
import { type CollaborateOptions, collaborate } from "../../packages/collaborate-client/src/index";
import type { Party } from "./party";

export interface Member {
  reading: Reading;
  seq(): number;
  say(content: string): void;
  close(): Promise<void>;
}

export function startMember({ party, threadId, url }: { party: Party; threadId: string; url: string }): Member {
  const journal = newJournal();
  const reading: Reading = { who: "a client of the WebSocket", orgId: party.orgId, threadId, journal, faults: [] };
  let isLeaving = false;
  const client = collaborate({
    url,
    apiKey: () => party.apiKey,
    threadId,
    WebSocket: WebSocket as unknown as NonNullable<CollaborateOptions["WebSocket"]>,
    onEvent: (event, cursor) => {
      if (reading.faults.length > 0) return;
      try {
        write(journal, cursor ?? undefined, event);
      } catch (error) {
        reading.faults.push(String(error));
      }
    },
    onState: (state) => {
      if (state === "waiting") disconnected(journal);
    },
  });
  void client.ended.then((why) => {
    if (!isLeaving) reading.faults.push(`its connection ended for good: ${why}`);
  });
  return {
    reading,
    seq: () => journal.entries.at(-1)?.seq ?? 0,
    say(content) {
      const posted: Posted = { threadId, content, id: null };
      party.posted.push(posted);
      client.send(content, { id: randomUUID() }).then(
        (ack) => {
          posted.id = ack.message?.id ?? null;
          posted.turns = ack.turns?.map(({ id }) => id) ?? [];
        },
        () => undefined, // refused, or left before it was answered
      );
    },
    close: async () => {
      isLeaving = true;
      await client.leave();
    },
  };
}
