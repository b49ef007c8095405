import { describe, expect, it } from "vitest";
import { type Finding, judge } from "../../backend/__tests__/harness/oracle";
import type { History } from "../../backend/__tests__/harness/oracle/history";
import { goodHistory, message, OTHER, refusal, started, stored, THREAD } from "./good-history";

/** A number that all items of a list must have. */
function first<T>(items: T[]): T {
  const [item] = items;
  if (item === undefined) throw new Error("nothing to doctor");
  return item;
}

const answer = (body: string, status = 503, ms = 10) => ({ orgId: "org_a", what: "POST messages", status, ms, body });
const words = () => "1 2 3";

/** What is done to a history in which all is well, and what must be found then: by that invariant, in these words. */
const doctored: [Finding["invariant"], string, (history: History) => void, RegExp][] = [
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
  [
    "I6",
    "another organization's word in an answer",
    (h) => {
      first(h.answers).body = "canary-b";
    },
    /has the word of org_b/,
  ],
  [
    "I6",
    "another's word at a reader",
    (h) => {
      first(h.readings).journal.texts.set("turn_1", "canary-b");
    },
    /a reader of thread_1 of org_a has the word/,
  ],
  [
    "I6",
    "another's word in what a model was asked",
    (h) => {
      first(h.asked).orgId = OTHER;
    },
    /a model of org_b has the word of org_a/,
  ],
  [
    "I6",
    "an answer that tells not yours from not there",
    (h) => {
      first(h.probes).foreign = "403";
    },
    /another's is answered 403/,
  ],
  [
    "I7",
    "a figure beyond its bound",
    (h) => {
      first(h.measured).value = 21;
    },
    /memory: 21, 20 at most/,
  ],
  [
    "I7",
    "a figure that is none",
    (h) => {
      first(h.measured).value = Number.NaN;
    },
    /memory: NaN/,
  ],
  [
    "I8",
    "a refusal that is no JSON",
    (h) => {
      h.answers.push(answer("Bad Gateway", 502));
    },
    /no JSON/,
  ],
  [
    "I8",
    "a refusal without a reason",
    (h) => {
      h.answers.push(answer('{"code":"unavailable","message":"","details":null}'));
    },
    /no reason or no hint/,
  ],
  [
    "I8",
    "an internal error",
    (h) => {
      h.answers.push(answer(refusal("internal", {}), 500));
    },
    /says nothing about trying again/,
  ],
  [
    "I8",
    "a refusal for the moment that does not say so",
    (h) => {
      h.answers.push(answer(refusal("unavailable", {})));
    },
    /whether to try again/,
  ],
  [
    "I8",
    "a slow refusal",
    (h) => {
      h.answers.push(answer(refusal("unavailable", { retryable: true }), 503, 9_000));
    },
    /after 9000 ms/,
  ],
  [
    "I8",
    "a valid key that is refused",
    (h) => {
      h.answers.push(answer(refusal("unauthenticated", {}), 401));
    },
    /though its key is valid/,
  ],
  [
    "I8",
    "a request that nobody answers",
    (h) => {
      h.answers.push(answer("", 0, 20_000));
    },
    /not answered in 20000 ms/,
  ],
  [
    "I9",
    "a secret in an answer",
    (h) => {
      first(h.answers).body = "gk_secret";
    },
    /has the key/,
  ],
  [
    "I9",
    "SQL in an answer",
    (h) => {
      first(h.answers).body = "insert into messages (id)";
    },
    /has SQL/,
  ],
  [
    "I9",
    "an id of Letta's in an answer",
    (h) => {
      first(h.answers).body = "agent-0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f";
    },
    /id of Letta's/,
  ],
  [
    "I9",
    "a secret in a log",
    (h) => {
      first(h.printed).text = "gk_secret";
    },
    /a log has the key/,
  ],
  [
    "I9",
    "what people wrote in a log",
    (h) => {
      first(h.printed).text = "canary-a";
    },
    /what people wrote/,
  ],
];

function goodLog({ shown }: History, seq: number) {
  const entry = first(shown).log[seq - 1];
  if (!entry) throw new Error(`no entry ${seq}`);
  return entry;
}

describe("the oracle of chaos", () => {
  it("finds nothing in a history in which nothing is wrong", () => {
    expect(judge(goodHistory(), words)).toEqual([]);
  });

  it.each(doctored)("finds by %s %s", (invariant, _what, doctor, text) => {
    const history = goodHistory();
    doctor(history);
    const found = judge(history, words).filter((finding) => finding.invariant === invariant);
    expect(found.map((finding) => finding.text).join("\n")).toMatch(text);
  });

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
