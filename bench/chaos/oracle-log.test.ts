import { describe, expect, it } from "vitest";
import { judge } from "../../backend/__tests__/harness/oracle";
import { type Doctored, findsEach, first, words } from "./doctored";
import { goodHistory, message, started, stored, THREAD } from "./good-history";

/** Acknowledged messages, the order of the log, and what readers and lists have of it. */
const doctored: Doctored[] = [
  [
    "I1",
    "an acknowledged message that is not stored",
    (h) => {
      first(h.posted).content = "hello canary-a 9";
    },
    /acknowledged and is lost/,
  ],
  [
    "I1",
    "a message that is stored twice",
    (h) => {
      h.entries[4] = { ...first(h.entries), seq: 5, message_id: "msg_3" };
    },
    /stored 2 times/,
  ],
  [
    "I1",
    "a message stored as another one",
    (h) => {
      first(h.posted).id = "msg_9";
    },
    /as another message/,
  ],
  [
    "I1",
    "one request acknowledged as two messages",
    (h) => {
      first(h.posted).others = ["msg_1", "msg_9"];
    },
    /as msg_1 and as msg_9/,
  ],
  [
    "I1",
    "a promised turn that is not there",
    (h) => {
      first(h.posted).turns = ["turn_9"];
    },
    /turn_9 was promised/,
  ],
  [
    "I2",
    "a gap in the log",
    (h) => {
      h.entries.splice(4, 1);
    },
    /where 1 to 8 should be/,
  ],
  [
    "I2",
    "a log that ends too early",
    (h) => {
      first(h.threads).last_seq = 9;
    },
    /where 1 to 9 should be/,
  ],
  [
    "I2",
    "an entry that a reader was not given",
    (h) => {
      first(h.readings).journal.entries.splice(3, 1);
    },
    /a reader of thread_1 has 5 .* where the log has 4/,
  ],
  [
    "I2",
    "an entry too many at a reader's end",
    (h) => {
      first(h.readings).journal.entries.push({ seq: 9, event: started("turn_3", "msg_3") });
    },
    /where the log has nothing/,
  ],
  [
    "I2",
    "a reader who was given a hole",
    (h) => {
      first(h.readings).faults.push("a hole in the words");
    },
    /a hole in the words/,
  ],
  [
    "I2",
    "words taken back though nothing was killed",
    (h) => {
      first(h.readings).journal.takenBack.add("turn_1");
    },
    /taken back/,
  ],
  [
    "I2",
    "words of a turn that never ended",
    (h) => {
      first(h.readings).journal.texts.set("turn_9", "1");
    },
    /turn_9, which never ended/,
  ],
  [
    "I2",
    "an API that shows another log than is stored",
    (h) => {
      first(h.shown).log = first(h.shown).log.slice(0, 7);
    },
    /is shown as/,
  ],
  [
    "I2",
    "a list in another order than the log",
    (h) => {
      first(h.shown).listed.reverse();
    },
    /another order/,
  ],
  [
    "I2",
    "a list with a message twice",
    (h) => {
      first(h.shown).listed.push("msg_4");
    },
    /lists a message twice/,
  ],
];

describe("the oracle of chaos, of messages and their log,", () => {
  it("finds nothing in a history in which nothing is wrong", () => {
    expect(judge(goodHistory(), words)).toEqual([]);
  });

  findsEach(doctored);

  it("lets a turn begin again elsewhere, and words be taken back, after a kill", () => {
    const history = goodHistory();
    history.mayTakeBack = true;
    first(history.readings).journal.takenBack.add("turn_2");
    expect(judge(history, words)).toEqual([]);
    const log = [
      started("turn_1", "msg_1"),
      ...first(history.shown)
        .log.slice(1)
        .map(({ event }) => event),
    ];
    log.unshift(message("msg_1", 1, "hello canary-a 1", null));
    const entries = log.map((event, index) => stored({ seq: index + 1, event }));
    const again = {
      ...history,
      entries,
      threads: [{ ...first(history.threads), last_seq: 9 }],
      shown: [],
      readings: [],
    };
    expect(judge(again, words)).toEqual([]);
  });

  it("judges every thread by itself", () => {
    const history = goodHistory();
    history.entries.push({
      ...first(history.entries),
      thread_id: "thread_2",
      seq: 2,
      content: "another",
      message_id: "msg_8",
    });
    history.threads.push({
      ...first(history.threads),
      id: "thread_2",
      last_seq: 1,
      prompt_tokens: 0,
      completion_tokens: 0,
    });
    expect(judge(history, words).map((finding) => finding.text)).toEqual([
      "thread thread_2: entries 2 where 1 to 1 should be",
    ]);
    expect(history.threads[0]?.id).toBe(THREAD);
  });
});
