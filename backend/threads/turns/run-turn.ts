import { setTimeout as sleep } from "node:timers/promises";
import log from "encore.dev/log";
import { lettaIdOf } from "../../agents/make-imported";
import type { LogEntry, Message } from "../../lib/events";
import { LettaError } from "../../lib/letta-client";
import { budgetStops, firstToken } from "../../lib/metrics";
import { stopping } from "../../lib/stopping";
import { inPart, type Part } from "../../lib/tracing";
import { modelId } from "../../models/routing/price-of";
import { brokenBeside } from "../../usage/beside-turns";
import type { Reserved } from "../../usage/estimates";
import { makeMeter, type TurnMeter } from "../../usage/meter";
import type { Asker } from "../../usage/reserve";
import { publish, speak, startSpeaking, stopSpeaking } from "../live/channels";
import { addText, beginText, endText, type Running, storeRest } from "../live/running-text";
import type { AgentSeat } from "../thread-context";
import { ASKS_AHEAD, turnSource } from "./choose-source";
import { ensureConversation } from "./conversation";
import { endTurn, handOver, type Outcome } from "./end-turn";
import { extendReservation } from "./extend-reservation";
import { Forgotten } from "./forgotten";
import { letGo, letQueuedGo } from "./let-go";
import { markStarted } from "./mark-started";
import { takeRoom } from "./room";
import { makeSayable } from "./sayable";
import { settleAndTell } from "./settle";
import { type StopReason, stopped } from "./stopped";
import { SourceError, type TurnEvent, type TurnSource } from "./turn-source";

export interface TurnToRun {
  orgId: string;
  threadId: string;
  turnId: string;
  seat: AgentSeat;
  /** The message it answers. */
  message: Message;
  /** What the agent is told: the message, after what it had missed. */
  content: string;
  attempt: number;
  asker: Asker;
  /** What was set aside for it when it was asked; null where no limit held. */
  reserved: Reserved | null;
}

/** A turn that has not ended by then is ended as failed, with its text so far. Counted anew when Letta has a place for it. */
const TURN_MS_MAX = Number(process.env.GRAPHYN_TURN_MS_MAX) || 10 * 60_000;
/** Tries for one turn; a further one only while nothing was said. */
export const ATTEMPTS_MAX = 3;
const RETRY_DELAY_MS = 250;
/** Between looks whether Letta's queue can hold a turn that it could not: nothing was tried, so it counts as no try. */
const FULL_DELAY_MS = 1_000;
/** Tries to store a turn's end, and the delay before the second; each further one takes four times as long. */
const END_TRIES_MAX = 4;
const END_RETRY_MS = 100;
/** Characters of one answer. */
const ANSWER_CHARS_MAX = 1_000_000;

const running = new Map<string, { controller: AbortController; ended: Promise<void>; isStored: boolean }>();

/**
 * Begins turns in this process, at once and beside each other. They run on by themselves; none of them throws. `stored` says whether the
 * message they answer was committed: Letta is asked meanwhile, no word is shown before, and when it was not, Letta's run is stopped, which
 * leaves nothing of it in Letta.
 */
export function startTurns(turns: TurnToRun[], stored: Promise<boolean> = Promise.resolve(true)): void {
  if (stopping.aborted) {
    if (turns.length > 0) void stored.then(() => letQueuedGo(turnsHere()));
    return;
  }
  for (const turn of turns) {
    if (running.has(turn.turnId)) continue;
    const controller = new AbortController();
    const leave = takeRoom(turn.orgId);
    const ended = inPart("invoke_agent", { attributes: attributesOf(turn) }, (part) =>
      runTurn(turn, turnSource, controller, stored, part),
    )
      .catch((error) =>
        log.error("a turn could not be ended; its lease will run out", { turn_id: turn.turnId, error: String(error) }),
      )
      .finally(() => {
        leave();
        running.delete(turn.turnId);
      });
    const begun = { controller, ended, isStored: false };
    running.set(turn.turnId, begun);
    void stored.then((isStored) => {
      begun.isStored = isStored;
    });
  }
}

/** The turns this process works on and the database has: one whose message is being stored is nobody's yet, and not lost. */
export function turnsHere(): string[] {
  return [...running].filter(([, { isStored }]) => isStored).map(([id]) => id);
}

/** Resolves when every turn of this process has ended, those included that begin meanwhile. */
export async function turnsEnded(): Promise<void> {
  while (running.size > 0) await Promise.allSettled([...running.values()].map(({ ended }) => ended));
}

/** Stops a turn if it runs in this process; resolves when it has ended and its end is stored. False if it does not run here. */
export async function stopTurn(turnId: string, reason: StopReason): Promise<boolean> {
  const turn = running.get(turnId);
  if (!turn) return false;
  turn.controller.abort(reason);
  await turn.ended;
  return true;
}

function attributesOf({ turnId, threadId, seat, attempt }: TurnToRun) {
  return {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.id": seat.agent_id,
    "gen_ai.agent.version": seat.agent_version_id,
    "gen_ai.conversation.id": threadId,
    "graphyn.turn.id": turnId,
    "graphyn.turn.attempt": attempt,
  };
}

function attributesOfEnd(outcome: Outcome) {
  return {
    "graphyn.turn.outcome": outcome.kind,
    ...(outcome.kind === "failed" ? { "error.type": outcome.reason } : {}),
    ...(outcome.firstTokenMs === null ? {} : { "graphyn.first_token_ms": outcome.firstTokenMs }),
    ...(outcome.spent === null
      ? {}
      : {
          "gen_ai.usage.input_tokens": outcome.spent.prompt_tokens,
          "gen_ai.usage.output_tokens": outcome.spent.completion_tokens,
        }),
  };
}

async function runTurn(
  turn: TurnToRun,
  source: TurnSource,
  controller: AbortController,
  stored: Promise<boolean>,
  part: Part,
): Promise<void> {
  const deadline = setTimeout(() => controller.abort("deadline" satisfies StopReason), TURN_MS_MAX);
  let waits = true;
  const admitted = () => {
    if (waits) deadline.refresh();
    waits = false;
  };
  const text = beginText(turn);
  // Letta takes far longer to its first word than these commits: they go side by side, and no word is shown before the start is stored.
  const started = stored
    .then((isStored) => (isStored ? markStarted(turn) : null))
    .catch((error) => {
      // The turn stays queued, and its lease, prolonged no more, lets it be taken up again.
      log.warn("a turn could not be started", { turn_id: turn.turnId, error: String(error) });
      return null;
    });
  void started.then((entry) => {
    if (entry === null) controller.abort("lost" satisfies StopReason);
    else startSpeaking(turn.orgId, turn.threadId, turn.turnId, entry.seq);
  });
  const meter = makeMeter({
    reserved: turn.reserved,
    extend: (more) => extendReservation(turn, more),
    beside: (call) => brokenBeside(turn.orgId, call),
    stop: () => controller.abort("budget" satisfies StopReason),
  });
  try {
    const outcome = withSpent(await listen(turn, source, controller.signal, text, started, meter, admitted), meter);
    part.set(attributesOfEnd(outcome));
    await endText(text);
    const entry = await started;
    if (entry === null) {
      // Somebody ended the turn, or took it, before it began; those who wait behind it must not wait for ever.
      startTurns(await handOver(turn));
      return;
    }
    if (controller.signal.reason === ("shutdown" satisfies StopReason) && text.text === "") {
      await letGo(turn); // nothing was said: another process begins it again
      return;
    }
    const end = await endSurely(turn, text, outcome);
    publish(turn.orgId, turn.threadId, end.entries);
    startTurns(end.next);
  } finally {
    clearTimeout(deadline);
    await endText(text);
    stopSpeaking(turn.orgId, turn.threadId, turn.turnId);
  }
}

function withSpent(outcome: Outcome, meter: TurnMeter): Outcome {
  const spent = meter.close();
  const limit = meter.spentLimit();
  if (outcome.kind !== "cancelled" || outcome.reason !== "budget_spent" || limit === null) return { ...outcome, spent };
  budgetStops.inc();
  return { ...outcome, spent, limit };
}

/** Stores the turn's end; a database that is away for a moment must not cost an answer that is complete. */
async function endSurely(turn: TurnToRun, text: Running, outcome: Outcome) {
  for (let tried = 1; ; tried++) {
    try {
      return await endTurn(turn, text.text, outcome);
    } catch (error) {
      await storeRest(text);
      if (tried >= END_TRIES_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, END_RETRY_MS * 4 ** (tried - 1)));
    }
  }
}

/** Takes what the source says until it ends, trying again while nothing was said and trying can help. */
async function listen(
  turn: TurnToRun,
  source: TurnSource,
  signal: AbortSignal,
  text: Running,
  started: Promise<LogEntry | null>,
  meter: TurnMeter,
  admitted: () => void,
): Promise<Outcome> {
  const begun = performance.now();
  const sayable = makeSayable();
  const outcome: Outcome = {
    kind: "completed",
    firstTokenMs: null,
    durationMs: 0,
    runId: null,
    spent: null,
    inLetta: false,
  };
  const { orgId, threadId, turnId } = turn;
  const tooLong = new AbortController();
  const ends = AbortSignal.any([signal, tooLong.signal]);
  let start: LogEntry | null | undefined; // not known yet
  let early: string[] = []; // said before it was
  const say = (said: string) => {
    if (start === undefined) early.push(said);
    if (!start) return; // or somebody else has the turn
    if (outcome.firstTokenMs === null) {
      outcome.firstTokenMs = Math.round(performance.now() - begun);
      firstToken.observe(outcome.firstTokenMs / 1_000);
    }
    speak(orgId, threadId, { turnId, agentId: turn.seat.agent_id, startSeq: start.seq }, said);
    addText(text, said);
    if (text.text.length > ANSWER_CHARS_MAX) tooLong.abort();
  };
  const isStarted = started.then((entry) => {
    start = entry;
    for (const said of early) say(said);
    early = [];
  });
  const take = (event: TurnEvent) => {
    switch (event.type) {
      case "text": {
        const said = sayable(event.text);
        if (said !== "" && !tooLong.signal.aborted) say(said);
        break;
      }
      case "run":
        outcome.runId = event.run_id;
        break;
      case "tool_call":
      case "tool_return":
        break;
      case "end":
        outcome.inLetta = event.stored;
        break;
      default:
        event satisfies never;
    }
  };
  let seat = turn.seat;
  let content: string | null = null;
  for (let attempt = turn.attempt; ; attempt++) {
    try {
      const lettaAgentId = await lettaIdOf(turn.orgId, seat);
      const conversationId = await ensureConversation(turn.orgId, turn.threadId, turn.seat);
      if (signal.aborted) return stopped(outcome, signal);
      content ??= await settleAndTell({ ...turn, seat }, conversationId);
      const input = {
        orgId,
        threadId,
        turnId,
        agentId: seat.agent_id,
        lettaAgentId,
        conversationId,
        content,
        askAhead: ASKS_AHEAD ? seat.ask_ahead : ("off" as const),
        attempt,
        model: modelId(seat.model),
        meter,
        admitted,
      };
      await source(input, ends, take)
        .catch((error: unknown) => {
          if (!tooLong.signal.aborted) throw error; // else it was stopped by that
        })
        .finally(() => isStarted);
      if (tooLong.signal.aborted)
        throw new SourceError("answer_too_long", "The agent's answer grew too long and was ended.", false);
      outcome.durationMs = Math.round(performance.now() - begun);
      return signal.aborted ? stopped(outcome, signal) : outcome;
    } catch (error) {
      outcome.durationMs = Math.round(performance.now() - begun);
      if (signal.aborted) return stopped(outcome, signal);
      const known =
        error instanceof SourceError
          ? error
          : error instanceof LettaError
            ? new SourceError(error.kind, error.message, error.retryable, { cause: error })
            : new SourceError("internal", "The agent could not answer because of an error on our side.", true, {
                cause: error,
              });
      log.warn("an agent's answer failed", {
        turn_id: turn.turnId,
        thread_id: turn.threadId,
        reason: known.reason,
        attempt,
        error: String(known.cause ?? known.message),
      });
      if (known.reason === "overloaded" && text.text === "") {
        attempt--; // it only waits, until the turn's deadline
        await sleep(FULL_DELAY_MS * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
        continue;
      }
      if (!known.retryable || known.tried || text.text !== "" || attempt >= ATTEMPTS_MAX) {
        return { ...outcome, kind: "failed", reason: known.reason, message: known.message, retryable: known.retryable };
      }
      if (known instanceof Forgotten) {
        seat = { ...seat, letta_conversation_id: known.conversationId, heard_seq: known.heardSeq, unheard: true };
        content = null; // it is told more
      }
      const delay = RETRY_DELAY_MS * 2 ** attempt * (0.5 + Math.random());
      await sleep(delay, undefined, { signal }).catch(() => undefined); // stopped: seen before Letta is asked again
    }
  }
}
