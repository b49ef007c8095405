import { describe } from "vitest";
import type { History } from "../../backend/__tests__/harness/oracle/history";
import { type Doctored, findsEach, first } from "./doctored";
import { message, started, stored } from "./good-history";

/** How turns end, with what words, one at a time, and how they are counted. */
const doctored: Doctored[] = [
  [
    "I3",
    "a turn that still runs",
    (h) => {
      first(h.turns).state = "running";
    },
    /still running/,
  ],
  [
    "I3",
    "a turn that ended twice",
    (h) => {
      h.entries.push({ ...stored(goodLog(h, 4)), seq: 9 });
    },
    /tells turn_completed, turn_completed/,
  ],
  [
    "I3",
    "a turn whose state and log differ",
    (h) => {
      first(h.turns).state = "cancelled";
    },
    /is cancelled and its log tells turn_completed/,
  ],
  [
    "I3",
    "a turn that speaks after its end",
    (h) => {
      h.entries.push({ ...stored(goodLog(h, 2)), seq: 9 });
    },
    /goes on after its end/,
  ],
  [
    "I3",
    "a turn with two messages",
    (h) => {
      h.entries.splice(3, 0, stored({ seq: 4, event: message("msg_9", 4, "4", "turn_1") }));
    },
    /2 messages/,
  ],
  [
    "I3",
    "a failed turn whose message calls itself whole",
    (h) => {
      (h.entries[6] as { status: string }).status = "complete";
    },
    /turn_2 is failed and its message is complete/,
  ],
  [
    "I3",
    "a completed turn that said nothing",
    (h) => {
      (h.entries[2] as { turn_id: null }).turn_id = null;
    },
    /completed without a message/,
  ],
  [
    "I3",
    "pieces left beside a message",
    (h) => {
      h.pieces.push("turn_1");
    },
    /pieces of text left/,
  ],
  [
    "I3",
    "a completed answer that lacks words",
    (h) => {
      (h.entries[2] as { content: string }).content = "1 3";
    },
    /with "1 3" where its model says "1 2 3"/,
  ],
  [
    "I3",
    "a broken-off answer that has others",
    (h) => {
      (h.entries[6] as { content: string }).content = "2";
    },
    /turn_2 is failed with "2"/,
  ],
  [
    "I3",
    "a turn that took too long",
    (h) => {
      first(h.turns).ms = 6_000;
    },
    /took 6000 ms/,
  ],
  [
    "I4",
    "two turns of an agent at once",
    (h) => {
      h.entries.splice(2, 0, { ...stored({ seq: 3, event: started("turn_2", "msg_3") }) });
    },
    /began at 3 while turn turn_1/,
  ],
  [
    "I5",
    "a turn that was counted twice",
    (h) => {
      first(h.threads).prompt_tokens = 40;
    },
    /counts 40 and 5 tokens, its turns 30 and 5/,
  ],
  [
    "I5",
    "a sum that is told differently",
    (h) => {
      first(h.shown).usage.completion_tokens = 6;
    },
    /tells 30 and 6/,
  ],
];

function goodLog({ shown }: History, seq: number) {
  const entry = first(shown).log[seq - 1];
  if (!entry) throw new Error(`no entry ${seq}`);
  return entry;
}

describe("the oracle of chaos, of turns,", () => {
  findsEach(doctored);
});
