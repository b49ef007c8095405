import { forOrg } from "../../letta/for-org";
import { LettaError, type LettaOrg } from "../../lib/letta-client";
import { createPushQueue, type PushQueue } from "../../lib/push-queue";
import { askUpstream } from "../../models/ask-upstream";
import { dropGuess, guess } from "../../models/guesses";
import { type ModelEvent, type OpenTurn, openTurn } from "../../models/open-turns";
import { otidOf } from "./letta-relay";
import { SourceError, type TurnEvent, type TurnInput } from "./turn-source";

/** Events between the model and the log; a token is one. */
const QUEUED_EVENTS_MAX = 100_000;
/** How long Letta may take to store what it was given when a turn is stopped, before its run is cancelled. */
const STORE_MS_MAX = 5_000;

/**
 * The TurnSource that takes the words where Letta asks its model: Letta is asked for whole steps and keeps the state; the tokens come
 * from Graphyn's own model gateway (models/), before Letta has them. When the turn is stopped, Letta is given what was said so far as
 * the answer, and this source ends once Letta has stored it: its memory equals what people read.
 */
export async function* gatewaySource(input: TurnInput, signal: AbortSignal): AsyncGenerator<TurnEvent> {
  const queue = createPushQueue<TurnEvent>(QUEUED_EVENTS_MAX);
  const words = createWords(queue);
  const letta = await forOrg(input.orgId);
  const turn: OpenTurn = {
    orgId: input.orgId,
    turnId: input.turnId,
    lettaUserId: letta.lettaUserId,
    lettaAgentId: input.lettaAgentId,
    conversationId: input.conversationId,
    signal,
    hear: words.hear,
  };
  const close = openTurn(turn);
  if (input.askAhead) guess(turn, input.content, askUpstream);
  const asking = askLetta(letta, input, signal, queue, words).finally(() => {
    close();
    dropGuess(turn);
  });
  try {
    yield* queue;
  } finally {
    await asking;
  }
}

async function askLetta(
  letta: LettaOrg,
  { conversationId, content, turnId, attempt }: TurnInput,
  signal: AbortSignal,
  queue: PushQueue<TurnEvent>,
  words: Words,
): Promise<void> {
  // Not the turn's own signal: Letta is to store what was said. Only when it does not in time is its run cancelled.
  const late = new AbortController();
  const onStop = () => setTimeout(() => late.abort(signal.reason), words.spoken() ? STORE_MS_MAX : 0).unref();
  signal.addEventListener("abort", onStop, { once: true });
  try {
    const otid = otidOf(turnId, attempt);
    for await (const event of letta.streamMessage({
      conversationId,
      content,
      otid,
      wholeSteps: true,
      signal: late.signal,
    })) {
      switch (event.type) {
        case "run":
          queue.push({ type: "run", run_id: event.runId });
          break;
        case "text":
          words.fromLetta(event.text);
          break;
        case "tool_return":
          queue.push({ type: "tool_return", id: event.toolCallId, ok: event.status === "success" });
          break;
        case "usage":
          queue.push({ type: "usage", prompt_tokens: event.promptTokens, completion_tokens: event.completionTokens });
          break;
        case "stop":
          queue.push({ type: "end", stop_reason: event.reason });
          break;
        case "tool_call": // heard from the model already
        case "reasoning":
        case "approval_request":
          break;
        default:
          event satisfies never;
      }
    }
    // Letta has stored what was said; that the model broke off before its end is the turn's failure all the same.
    const failure = words.failure();
    if (failure) queue.fail(failure);
    else queue.end();
  } catch (error) {
    // The model's own reason says more than what Letta makes of it.
    const known = words.failure() ?? error;
    queue.fail(
      known instanceof LettaError
        ? new SourceError(known.kind, known.message, known.retryable, { cause: known })
        : known,
    );
  } finally {
    signal.removeEventListener("abort", onStop);
  }
}

interface Words {
  hear(event: ModelEvent): void;
  fromLetta(text: string): void;
  /** Whether anything was said. */
  spoken(): boolean;
  failure(): SourceError | null;
}

/** Joins the steps of a turn to one text: a further step that speaks begins a new paragraph. */
function createWords(queue: PushQueue<TurnEvent>): Words {
  let spoken = false;
  let stepSpoke = false;
  let unheard = true; // whether the current step came past our gateway, unheard
  let failure: SourceError | null = null;
  const say = (text: string) => {
    if (text === "") return;
    queue.push({ type: "text", text: spoken && !stepSpoke ? `\n\n${text}` : text });
    spoken = true;
    stepSpoke = true;
  };
  return {
    hear(event) {
      switch (event.type) {
        case "asked":
          stepSpoke = false;
          unheard = false;
          break;
        case "text":
          say(event.text);
          break;
        case "tool_call":
          queue.push(event);
          break;
        case "answered":
          break;
        case "failed":
          failure = new SourceError(event.reason, event.message, event.retryable, { tried: true });
          break;
        default:
          event satisfies never;
      }
    },
    // Letta may have asked a model that is not behind our gateway: then its own words are all there is.
    fromLetta(text) {
      if (!unheard) return;
      stepSpoke = false;
      say(text);
    },
    spoken: () => spoken,
    failure: () => failure,
  };
}
