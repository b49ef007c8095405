import type { LogEntry } from "../../../lib/events";
import type { Journal } from "../journal";

/**
 * What a run left: what the database has, what clients were told, what they asked, and how the servers stood afterwards. Plain data, so that
 * a test of the oracle can doctor it.
 */
export interface History {
  threads: Thread[];
  entries: Entry[];
  turns: Turn[];
  /** Turns of which pieces of text are still stored beside a message. */
  pieces: string[];
  posted: Posted[];
  /** Long-lived readers, each with what it was given. */
  readings: Reading[];
  /** Each thread as the API shows it afterwards. */
  shown: Shown[];
  answers: Answer[];
  /** The same request for something of another organization's and for something that is not there. */
  probes: Probe[];
  canaries: Canary[];
  /** Values that nobody outside may see. */
  secrets: { name: string; value: string }[];
  /** What the servers have printed, and what other parties were given in an organization's name. */
  printed: { where: string; text: string }[];
  /** What an organization's models were asked. */
  asked: { orgId: string; text: string }[];
  measured: Measured[];
  /** Words that a process had said and not stored may be taken back: only where one was killed. */
  mayTakeBack: boolean;
  /** Milliseconds from a turn's start to its end at most; null: unknown. */
  turnMsMax: number | null;
}

export interface Thread {
  org_id: string;
  id: string;
  last_seq: number;
  prompt_tokens: number;
  completion_tokens: number;
}

export interface Entry {
  org_id: string;
  thread_id: string;
  seq: number;
  kind: string;
  agent_id: string | null;
  turn_id: string | null;
  message_id: string | null;
  sender_type: string | null;
  content: string | null;
  status: string | null;
}

export interface Turn {
  org_id: string;
  id: string;
  thread_id: string;
  agent_id: string;
  state: string;
  reason: string | null;
  /** From its last start to its end; null for one that never began. */
  ms: number | null;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  /** What it answers. */
  question: string;
  /** Its message was answered in another turn. */
  joined: boolean;
}

/** A message that a server has acknowledged, or has not: its sender repeats it until it is. */
export interface Posted {
  threadId: string;
  content: string;
  /** The answer's message id; null while nobody has acknowledged it. */
  id: string | null;
  /** Ids that further answers to the same request had. */
  others?: string[];
  /** The turns that the acknowledgement promised. */
  turns?: string[];
}

export interface Reading {
  who: string;
  orgId: string;
  threadId: string;
  journal: Journal;
  /** What it refused to take: a hole in the words, an entry out of order. */
  faults: string[];
}

export interface Shown {
  orgId: string;
  threadId: string;
  /** The log from its beginning. */
  log: LogEntry[];
  /** Ids of the messages in the list, oldest first, over all branches' entries that the list shows. */
  listed: string[];
  lastSeq: number;
  usage: { prompt_tokens: number; completion_tokens: number };
}

/** One answer to one request of a client. */
export interface Answer {
  orgId: string;
  what: string;
  /** 0: the connection broke before an answer came. */
  status: number;
  ms: number;
  body: string;
}

export interface Probe {
  what: string;
  foreign: string;
  missing: string;
}

export interface Canary {
  orgId: string;
  word: string;
}

/** A figure and its bound. */
export interface Measured {
  what: string;
  value: number;
  max: number;
}

/** What the full text of a turn's answer must be, by what its agent's model is known to say; null: not known. */
export type Words = (turn: Turn) => string | null;

export const NOTHING: History = {
  threads: [],
  entries: [],
  turns: [],
  pieces: [],
  posted: [],
  readings: [],
  shown: [],
  answers: [],
  probes: [],
  canaries: [],
  secrets: [],
  printed: [],
  asked: [],
  measured: [],
  mayTakeBack: true,
  turnMsMax: null,
};
