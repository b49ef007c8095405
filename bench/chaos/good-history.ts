/** A short history in which nothing is wrong, for tests that doctor it. */
import { newJournal, write } from "../../backend/__tests__/harness/journal";
import { type Entry, type History, NOTHING } from "../../backend/__tests__/harness/oracle/history";
import type { LogEntry, LogEvent, Message } from "../../backend/lib/events";

export const ORG = "org_a";
export const OTHER = "org_b";
export const THREAD = "thread_1";
const AGENT = "agent_1";

/** A question and its answer, a second question whose turn is cut off, and one reader who heard it all. */
export function goodHistory(): History {
  const events: LogEvent[] = [
    message("msg_1", 1, "hello canary-a 1", null),
    started("turn_1", "msg_1"),
    message("msg_2", 3, "1 2 3", "turn_1"),
    completed("turn_1", "msg_2"),
    message("msg_3", 5, "hello canary-a 2", null),
    started("turn_2", "msg_3"),
    message("msg_4", 7, "1 2", "turn_2", "failed"),
    failed("turn_2"),
  ];
  const log: LogEntry[] = events.map((event, index) => ({ seq: index + 1, event }));
  const journal = newJournal({ cursor: "0", seq: 0 });
  for (const { seq, event } of log) {
    if (event.type === "message" && event.message.turn_id !== null)
      write(journal, `${seq}`, chunk(event.message.turn_id, event.message.content));
    write(journal, `${seq}`, event);
  }
  const turn = { org_id: ORG, thread_id: THREAD, agent_id: AGENT, ms: 1_000, joined: false };
  return {
    ...structuredClone(NOTHING),
    threads: [{ org_id: ORG, id: THREAD, last_seq: 8, prompt_tokens: 30, completion_tokens: 5 }],
    entries: log.map(stored),
    turns: [
      {
        ...turn,
        id: "turn_1",
        state: "completed",
        reason: null,
        prompt_tokens: 10,
        completion_tokens: 3,
        question: "hello canary-a 1",
      },
      {
        ...turn,
        id: "turn_2",
        state: "failed",
        reason: "cut",
        prompt_tokens: 20,
        completion_tokens: 2,
        question: "hello canary-a 2",
      },
    ],
    posted: [
      { threadId: THREAD, content: "hello canary-a 1", id: "msg_1", others: ["msg_1"], turns: ["turn_1"] },
      { threadId: THREAD, content: "hello canary-a 2", id: "msg_3", turns: ["turn_2"] },
      { threadId: THREAD, content: "nobody took canary-a 3", id: null },
    ],
    readings: [{ who: "a reader", orgId: ORG, threadId: THREAD, journal, faults: [] }],
    shown: [
      {
        orgId: ORG,
        threadId: THREAD,
        log,
        listed: ["msg_1", "msg_2", "msg_3", "msg_4"],
        lastSeq: 8,
        usage: { prompt_tokens: 30, completion_tokens: 5 },
      },
    ],
    answers: [
      { orgId: ORG, what: "POST messages", status: 200, ms: 20, body: '{"content":"hello canary-a 1"}' },
      { orgId: ORG, what: "POST messages", status: 0, ms: 900, body: "" },
      { orgId: ORG, what: "GET stream", status: 503, ms: 4_000, body: refusal("unavailable", { retryable: true }) },
    ],
    probes: [{ what: "GET", foreign: "404", missing: "404" }],
    canaries: [
      { orgId: ORG, word: "canary-a" },
      { orgId: OTHER, word: "canary-b" },
    ],
    secrets: [{ name: "the key", value: "gk_secret" }],
    printed: [{ where: "a log", text: "a turn ended agent-0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f" }],
    asked: [{ orgId: ORG, text: "hello canary-a 1" }],
    measured: [{ what: "memory", value: 10, max: 20 }],
    mayTakeBack: false,
    turnMsMax: 5_000,
  };
}

export function refusal(code: string, details: object): string {
  return JSON.stringify({ code, message: "No.", details: { reason: "why", hint: "Do this.", ...details } });
}

export function message(
  id: string,
  seq: number,
  content: string,
  turn_id: string | null,
  status: Message["status"] = "complete",
): LogEvent {
  return {
    type: "message",
    thread_id: THREAD,
    message: {
      id,
      thread_id: THREAD,
      seq,
      sender_type: turn_id === null ? "user" : "agent",
      sender_id: turn_id === null ? "user_1" : AGENT,
      sender_name: "Somebody",
      content,
      status,
      turn_id,
      mentions: [],
      reason: null,
      branch: 1,
      origin: null,
      created_at: "2026-01-01T00:00:00.000Z",
    },
  };
}

export function started(turn_id: string, message_id: string): LogEvent {
  return { type: "turn_started", thread_id: THREAD, turn_id, agent_id: AGENT, agent_name: "Ada", message_id };
}

function completed(turn_id: string, message_id: string): LogEvent {
  const figures = { first_token_ms: 1, duration_ms: 2, usage: null };
  return { type: "turn_completed", thread_id: THREAD, turn_id, agent_id: AGENT, message_id, ...figures };
}

function failed(turn_id: string): LogEvent {
  const why = { error: "It broke off.", reason: "cut", retryable: true };
  return { type: "agent_error", thread_id: THREAD, turn_id, agent_id: AGENT, ...why };
}

function chunk(turn_id: string, content: string) {
  return { type: "ai_chunk", thread_id: THREAD, turn_id, agent_id: AGENT, offset: 0, content } as const;
}

/** An entry of the log as the database has it. */
export function stored({ seq, event }: LogEntry): Entry {
  const its = event.type === "message" ? event.message : null;
  return {
    org_id: ORG,
    thread_id: THREAD,
    seq,
    kind: event.type,
    agent_id: "agent_id" in event ? event.agent_id : null,
    turn_id: its?.turn_id ?? ("turn_id" in event ? event.turn_id : null),
    message_id: its?.id ?? null,
    sender_type: its?.sender_type ?? null,
    content: its?.content ?? null,
    status: its?.status ?? null,
  };
}
