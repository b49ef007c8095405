import { isDeepStrictEqual } from "node:util";
import type { LogEntry } from "../../../lib/events";
import { compared } from "../journal";
import { grouped } from "./grouped";
import type { History } from "./history";

const ENDS = ["turn_completed", "turn_cancelled", "agent_error"];

/** I2, of what each reader was given, against the log as the API shows it from its beginning. */
export function journals({ readings, shown, mayTakeBack }: History): string[] {
  const found: string[] = [];
  const logs = new Map(shown.map(({ threadId, log }) => [threadId, log]));
  for (const { who, threadId, journal, faults } of readings) {
    for (const fault of faults) found.push(`${who} of ${threadId}: ${fault}`);
    const log = logs.get(threadId);
    if (!log) continue;
    const { has, should } = compared(journal, log);
    const at = should.findIndex((entry, index) => !isDeepStrictEqual(entry, has[index]));
    if (at >= 0 || has.length !== should.length)
      found.push(
        `${who} of ${threadId} has ${brief(has[at < 0 ? should.length : at])} where the log has ${brief(should[at])}`,
      );
    if (!mayTakeBack)
      for (const turn of journal.takenBack) found.push(`${who} of ${threadId}: words of turn ${turn} were taken back`);
    const ended = new Set(
      log.flatMap(({ event }) => (ENDS.includes(event.type) && "turn_id" in event ? [event.turn_id] : [])),
    );
    for (const turn of journal.texts.keys())
      if (!ended.has(turn)) found.push(`${who} of ${threadId} heard turn ${turn}, which never ended`);
  }
  return found;
}

/** I2, of what the API shows afterwards, against what is stored. */
export function shownThreads({ shown, entries }: History): string[] {
  const found: string[] = [];
  const byThread = grouped(entries, ({ thread_id }) => thread_id);
  for (const { threadId, log, listed, lastSeq } of shown) {
    const stored = byThread.get(threadId) ?? [];
    const kinds = (list: { seq: number; kind: string }[]) => list.map(({ seq, kind }) => `${seq} ${kind}`).join(", ");
    const told = kinds(log.map(({ seq, event }) => ({ seq, kind: event.type })));
    if (told !== kinds(stored)) found.push(`thread ${threadId} is shown as ${told} and stored as ${kinds(stored)}`);
    if (lastSeq !== stored.length)
      found.push(`thread ${threadId} tells ${lastSeq} as its last entry of ${stored.length}`);
    const messages = stored.flatMap(({ message_id }) => (message_id === null ? [] : [message_id]));
    const strange = listed.filter((id) => !messages.includes(id));
    if (strange.length > 0) found.push(`thread ${threadId} lists ${strange.join(", ")}, which its log has not`);
    if (new Set(listed).size !== listed.length) found.push(`thread ${threadId} lists a message twice`);
    const sorted = messages.filter((id) => listed.includes(id));
    if (strange.length === 0 && sorted.join() !== listed.join())
      found.push(`thread ${threadId} lists its messages in another order than its log`);
  }
  return found;
}

function brief(entry: LogEntry | undefined): string {
  if (!entry) return "nothing";
  const text = JSON.stringify(entry.event);
  return `${entry.seq} ${text.length > 200 ? `${text.slice(0, 200)}…` : text}`;
}
