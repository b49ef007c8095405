import log from "encore.dev/log";
import { createPushQueue } from "../lib/push-queue";
import type { Ask } from "./answer-turn";
import { type ChatBody, predict, sameRequest } from "./ask-ahead";
import type { OpenTurn } from "./open-turns";
import { recordCall } from "./record-call";
import type { UpstreamEvent } from "./upstream-event";

interface Guess {
  body: ChatBody;
  events: AsyncIterable<UpstreamEvent>;
  /** Ends the upstream request: the guess was wrong, or its turn is over. */
  drop: AbortController;
  /** Pieces of text that came so far: what a wrong guess has cost. */
  pieces: number;
  /** When it was asked, on performance.now(). */
  begun: number;
}

/** How an agent's guesses have fared of late. */
interface Record {
  outcomes: boolean[];
}

/** Guesses looked at to decide whether asking ahead pays. */
const OUTCOMES_KEPT = 20;
/** Below this share of hits, asking ahead costs more than it gives. */
const HIT_RATE_MIN = 0.5;
/** With fewer outcomes than this nothing is decided yet. */
const OUTCOMES_MIN = 4;
/** While off, one turn in so many is tried, to see whether it pays again. */
const PROBE_EVERY = 20;
const AGENTS_KEPT_MAX = 10_000;
const QUEUED_EVENTS_MAX = 100_000;

const guesses = new Map<OpenTurn, Guess>();
const records = new Map<string, Record & { skipped: number }>();
const totals = { hits: 0, misses: 0, unused: 0, missed_pieces: 0 };

/** Hits and misses since the process began, for metrics. */
export function guessTotals(): Readonly<typeof totals> {
  return totals;
}

/**
 * Asks the model with the request that Letta is expected to make for this turn, if it can be known and if that pays for this agent.
 * Nothing is shown until Letta's own request has come and is equal.
 */
export function guess(turn: OpenTurn, content: string, ask: Ask): void {
  const body = predict(turn.conversationId, content);
  if (!body || !pays(turn.lettaAgentId)) return;
  const drop = new AbortController();
  const queue = createPushQueue<UpstreamEvent>(QUEUED_EVENTS_MAX);
  const made: Guess = { body, events: queue, drop, pieces: 0, begun: performance.now() };
  guesses.set(turn, made);
  void (async () => {
    try {
      for await (const event of ask({ orgId: turn.orgId, body, signal: AbortSignal.any([turn.signal, drop.signal]) })) {
        if (event.type === "text") made.pieces++;
        queue.push(event);
      }
      queue.end();
    } catch (error) {
      queue.fail(error);
    }
  })();
}

/** The answer under way, when Letta asks what was guessed; otherwise the guess is dropped, and null. */
export function takeGuess(turn: OpenTurn, body: ChatBody): AsyncIterable<UpstreamEvent> | null {
  const made = guesses.get(turn);
  if (!made) return null;
  guesses.delete(turn);
  const hit = sameRequest(made.body, body);
  note(turn.lettaAgentId, hit);
  if (hit) {
    totals.hits++;
    return made.events;
  }
  totals.misses++;
  discard(turn, made);
  log.info("a guessed request was not what Letta asked", {
    turn_id: turn.turnId,
    differs: differing(made.body, body),
    pieces: made.pieces,
  });
  return null;
}

/** Drops what is left of a turn's guess: Letta never asked. */
export function dropGuess(turn: OpenTurn): void {
  const made = guesses.get(turn);
  if (!made) return;
  guesses.delete(turn);
  totals.unused++;
  discard(turn, made);
}

/** Ends a guess that was of no use, and writes down what it cost: the pieces that had come are about its tokens. */
function discard(turn: OpenTurn, { drop, pieces, body, begun }: Guess): void {
  drop.abort();
  totals.missed_pieces += pieces;
  const tokens = { prompt_tokens: 0, completion_tokens: pieces, total_tokens: pieces };
  recordCall({
    orgId: turn.orgId,
    purpose: "guess",
    turnId: turn.turnId,
    model: String(body.model),
    usage: { ...tokens, cached_tokens: null, reasoning_tokens: null, estimated: true },
    durationMs: performance.now() - begun,
  });
}

function pays(agent: string): boolean {
  const record = records.get(agent);
  if (!record || record.outcomes.length < OUTCOMES_MIN) return true;
  const hits = record.outcomes.filter(Boolean).length;
  if (hits / record.outcomes.length >= HIT_RATE_MIN) return true;
  record.skipped++;
  return record.skipped % PROBE_EVERY === 0;
}

function note(agent: string, hit: boolean): void {
  const record = records.get(agent) ?? { outcomes: [], skipped: 0 };
  record.outcomes = [...record.outcomes, hit].slice(-OUTCOMES_KEPT);
  records.delete(agent);
  records.set(agent, record);
  if (records.size > AGENTS_KEPT_MAX) records.delete(records.keys().next().value as string);
}

/** Which fields differ, without what stands in them: they hold people's text. */
function differing(a: ChatBody, b: ChatBody): string {
  const fields = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  const same = (name: string) => sameRequest({ messages: [], field: a[name] }, { messages: [], field: b[name] });
  const different = fields.filter((name) => !["stream", "stream_options"].includes(name) && !same(name));
  const at = a.messages.findIndex(
    (message, i) => !sameRequest({ messages: [message] }, { messages: b.messages.slice(i, i + 1) }),
  );
  return `${different.join(",")}${at < 0 ? "" : ` (from message ${at} of ${a.messages.length} and ${b.messages.length})`}`;
}
