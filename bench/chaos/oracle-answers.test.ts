import { describe } from "vitest";
import { type Doctored, findsEach, first } from "./doctored";
import { OTHER, refusal } from "./good-history";

const answer = (body: string, status = 503, ms = 10) => ({ orgId: "org_a", what: "POST messages", status, ms, body });

/** Whose words are where, how refusals read, how much is used, and what tells too much. */
const doctored: Doctored[] = [
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

describe("the oracle of chaos, of answers, figures and logs,", () => {
  findsEach(doctored);
});
