import log from "encore.dev/log";
import type { OpenTurn } from "../correlation/open-turns";
import { type GuessOutcome, recordCall } from "../metering/record-call";
import { estimateUsage, type Usage } from "../metering/usage";
import { askUpstream } from "../requests/ask-upstream";
import type { ChatBody } from "../requests/chat-body";
import type { TakeEvent, UpstreamEvent } from "../responses/upstream-event";
import type { Price } from "../upstreams/upstream";
import { UpstreamError } from "../upstreams/upstream-error";
import { predict, sameRequest } from "./ask-ahead";
import { guessPays, noteGuess } from "./guess-pays";

interface Guess {
  body: ChatBody;
  /** What came before Letta's request did. */
  events: UpstreamEvent[];
  /** Takes what comes from now on. */
  take: TakeEvent | null;
  /** Settles as the request to the model does. */
  ended: Promise<void>;
  /** Ends the upstream request: the guess was wrong, or its turn is over. */
  drop: AbortController;
  upstream: string | null;
  price: Price | null;
  /** Characters that came so far. */
  chars: number;
  /** As the provider counted, when the answer is complete. */
  usage: Usage | null;
  /** The upstream took no request: it costs nothing. */
  refused: boolean;
  /** When it was asked, on performance.now(). */
  begun: number;
}

/** Events that wait for Letta's request; a token is one. */
const WAITING_EVENTS_MAX = 100_000;

const guesses = new Map<OpenTurn, Guess>();
/** Turns of which it is not decided yet whether they are asked ahead, and whose model was not asked meanwhile. */
const deciding = new Set<OpenTurn>();
const totals = { hits: 0, misses: 0, unused: 0 };

/** Hits and misses since the process began, for metrics. */
export function guessTotals(): Readonly<typeof totals> {
  return totals;
}

/**
 * Asks the model with the request that Letta is expected to make for this turn, if it can be known and if that pays for this agent.
 * Nothing is shown until Letta's own request has come and is equal.
 */
export function guess(turn: OpenTurn, content: string): void {
  if (turn.askAhead === "off") return;
  const body = predict(turn, content);
  if (!body) return;
  deciding.add(turn);
  guessPays(turn, turn.askAhead, body)
    .then((pays) => {
      if (deciding.delete(turn) && pays && !turn.signal.aborted) askGuess(turn, body);
    })
    .catch((error: unknown) => {
      deciding.delete(turn);
      log.warn("a turn is not asked ahead", { turn_id: turn.turnId, error: String(error) });
    });
}

function askGuess(turn: OpenTurn, body: ChatBody): void {
  const drop = new AbortController();
  const made: Guess = {
    body,
    events: [],
    take: null,
    ended: Promise.resolve(),
    drop,
    upstream: null,
    price: null,
    chars: 0,
    usage: null,
    refused: false,
    begun: performance.now(),
  };
  guesses.set(turn, made);
  const { orgId, trace, meter } = turn;
  const signal = AbortSignal.any([turn.signal, drop.signal]);
  made.ended = askUpstream({ orgId, body, signal, trace, isGuess: true, meter }, (event) => {
    count(made, event);
    if (made.take !== null) return made.take(event);
    if (made.events.push(event) > WAITING_EVENTS_MAX) throw new UpstreamError("bad_response", { code: "too_long" });
  });
  made.ended.catch((error: unknown) => {
    made.refused = made.upstream === null && !(error instanceof UpstreamError && error.reason === "cancelled");
  });
}

/** Hands over what came so far, and then whatever comes, to its end. */
async function follow(made: Guess, take: TakeEvent): Promise<void> {
  for (let event = made.events.shift(); event !== undefined; event = made.events.shift()) await take(event);
  made.take = take;
  await made.ended;
}

function count(made: Guess, event: UpstreamEvent): void {
  if (event.type === "begin") {
    made.upstream = event.upstream;
    made.price = event.price;
  }
  if (event.type === "usage") made.usage = event.usage;
  else if (event.type === "text" || event.type === "reasoning") made.chars += event.text.length;
  else if (event.type === "tool_call") made.chars += event.arguments.length;
}

/** The answer under way, when Letta asks what was guessed; otherwise the guess is dropped, and null. */
export function takeGuess(turn: OpenTurn, body: ChatBody): ((take: TakeEvent) => Promise<void>) | null {
  deciding.delete(turn);
  const made = guesses.get(turn);
  if (!made) return null;
  guesses.delete(turn);
  const hit = sameRequest(made.body, body);
  noteGuess(turn, hit);
  if (hit) {
    totals.hits++;
    return (take) => follow(made, take);
  }
  totals.misses++;
  discard(turn, made, "miss");
  log.info("a guessed request was not what Letta asked", {
    turn_id: turn.turnId,
    differs: differing(made.body, body),
  });
  return null;
}

/** Drops what is left of a turn's guess: Letta never asked. */
export function dropGuess(turn: OpenTurn): void {
  deciding.delete(turn);
  const made = guesses.get(turn);
  if (!made) return;
  guesses.delete(turn);
  totals.unused++;
  discard(turn, made, "unused");
}

/** Ends a guess that was of no use, and writes down what it cost: providers charge for the prompt of a request that is broken off. */
function discard(turn: OpenTurn, made: Guess, outcome: GuessOutcome): void {
  made.drop.abort();
  recordCall({
    orgId: turn.orgId,
    purpose: "guess",
    turnId: turn.turnId,
    agentId: turn.agentId,
    upstream: made.upstream,
    model: String(made.body.model),
    usage: made.refused ? null : (made.usage ?? estimateUsage(made.body, made.chars)),
    price: made.price,
    guess: outcome,
    durationMs: performance.now() - made.begun,
  });
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
