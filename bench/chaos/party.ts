/** An organization of a chaos run: who asks in its name, what it was answered, and the word by which its texts are known. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Answer, Posted } from "../../backend/__tests__/harness/oracle/history";
import { stoodStill } from "./stood-still";

export interface Party {
  orgId: string;
  apiKey: string;
  /** In everything that its people say, and in nothing else. */
  canary: string;
  /** By what they say. */
  agents: Readonly<Record<"counts" | "counts_long" | "echoes" | "misbehaves", string>>;
  /** What it was answered in this round, and what it has posted. */
  answers: Answer[];
  posted: Posted[];
}

export interface Asked<T> {
  status: number;
  body: T;
}

/** How long a client waits for an answer. */
export const ANSWER_MS_MAX = 20_000;
const TRIES_MAX = 60;
const RETRY_MS = 200;

/** One request; null when no answer came. Every answer is kept for the oracle. */
export async function ask<T>(
  party: Party,
  url: string,
  method: string,
  path: string,
  { body, key }: { body?: unknown; key?: string } = {},
): Promise<Asked<T> | null> {
  const begun = performance.now();
  const answer = { orgId: party.orgId, what: `${method} ${path}`, status: 0, ms: 0, body: "" };
  try {
    const response = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${party.apiKey}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(key === undefined ? {} : { "idempotency-key": key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    answer.body = await response.text();
    answer.status = response.status;
  } catch {
    // nobody there, or the connection broke: whether anything was done is not known
  }
  const ended = performance.now();
  answer.ms = ended - begun - stoodStill(url, begun, ended);
  party.answers.push(answer);
  return answer.status === 0 ? null : { status: answer.status, body: parsed(answer.body) as T };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // the oracle has the text
  }
}

interface Said {
  message: { id: string };
  turns: { id: string }[];
  context: { running_turns: unknown[] };
}

/** Where requests go, in turn. */
export type Urls = (tries: number) => string;

/** Says something and repeats it with its key, here and there, until it is taken or refused for good, or `over`. Null: not taken. */
export async function say(
  party: Party,
  { path, content, threadId, more = {} }: { path: string; content: string; threadId: string; more?: object },
  urls: Urls,
  over?: AbortSignal,
): Promise<Said | null> {
  const posted: Posted = { threadId, content, id: null };
  party.posted.push(posted);
  const key = randomUUID();
  for (let tries = 0; tries < TRIES_MAX && !over?.aborted; tries++) {
    const answer = await ask<Said>(party, urls(tries), "POST", path, { body: { content, ...more }, key });
    if (answer?.status === 200) {
      posted.id = answer.body.message.id;
      posted.turns = answer.body.turns.map(({ id }) => id);
      return answer.body;
    }
    if (answer && answer.status < 500 && answer.status !== 429) return null;
    await sleep(RETRY_MS);
  }
  return null;
}

/** The same request many times at once: one message, and one answer to all of them. */
export async function sayAtOnce(
  party: Party,
  { path, content, threadId, times }: { path: string; content: string; threadId: string; times: number },
  urls: Urls,
): Promise<number> {
  const posted: Posted = { threadId, content, id: null, others: [] };
  party.posted.push(posted);
  const key = randomUUID();
  const answers = await Promise.all(
    Array.from({ length: times }, (_, index) =>
      ask<Said>(party, urls(index), "POST", path, { body: { content }, key }),
    ),
  );
  const taken = answers.flatMap((answer) => (answer?.status === 200 ? [answer.body] : []));
  posted.id = taken[0]?.message.id ?? null;
  posted.others = taken.slice(1).map(({ message }) => message.id);
  posted.turns = taken.flatMap(({ turns }) => turns.map(({ id }) => id));
  return taken.length;
}
