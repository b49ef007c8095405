import { forOrg } from "../../letta/for-org";
import { LettaError, type LettaOrg } from "../../lib/letta-client";
import { inPart, SpanKind } from "../../lib/tracing";
import { forget } from "../../models/ask-ahead/ask-ahead";
import { dropGuess, guess } from "../../models/ask-ahead/guesses";
import { type ModelEvent, type OpenTurn, openTurn } from "../../models/correlation/open-turns";
import { usageOf } from "../../models/metering/usage";
import { type Forgotten, findForgotten } from "./forgotten";
import { otidOf } from "./otid";
import { createSteer } from "./steer";
import { SourceError, type TurnEvent, type TurnInput, type TurnSource } from "./turn-source";

/** How long Letta may take to store what it was given when a turn is stopped, before nobody waits for it any more. */
const STORE_MS_MAX = 5_000;
/** How long Letta may keep a turn to itself, asking no model. */
const LETTA_MS_MAX = 90_000;

/**
 * The TurnSource that takes the words where Letta asks its model: Letta is asked for whole steps and keeps the state; the tokens come
 * from Graphyn's own model gateway (models/), before Letta has them. When the turn is stopped, Letta is given what was said so far as
 * the answer, and this source ends once Letta has stored it: its memory equals what people read.
 */
export const gatewaySource: TurnSource = async (input, signal, tell) => {
  let isOver = false; // a model that still speaks when Letta has given up is not heard
  const words = createWords((event) => {
    if (!isOver) tell(event);
  });
  const letta = await forOrg(input.orgId);
  // What an earlier, stopped turn of this conversation may still ask must not be taken for this one's.
  await letta.settled(input.conversationId);
  if (signal.aborted) return;
  let forgotten: Forgotten | null = null;
  const late = new AbortController();
  const silence = watchSilence(() => late.abort(new LettaError("timeout", { code: "silent" })));
  const turn: OpenTurn = {
    orgId: input.orgId,
    turnId: input.turnId,
    agentId: input.agentId,
    lettaUserId: letta.lettaUserId,
    lettaAgentId: input.lettaAgentId,
    conversationId: input.conversationId,
    content: input.content,
    otid: otidOf(input.turnId, input.attempt),
    askAhead: input.askAhead,
    signal,
    meter: input.meter,
    hear: (event) => {
      silence.hear(event);
      words.hear(event);
    },
    doubt: async () => {
      forgotten = await findForgotten(input);
      return forgotten !== null;
    },
    steer: createSteer(input),
  };
  const close = openTurn(turn);
  try {
    await inPart("POST letta conversation messages", { kind: SpanKind.CLIENT }, async (part) => {
      turn.trace = part.context;
      const admitted = () => {
        input.admitted();
        silence.begin();
        guess(turn, input.content); // not sooner: who waits for Letta must not keep the model busy
      };
      await askLetta(letta, { ...input, admitted }, { signal, late }, tell, words, () => forgotten);
    });
  } finally {
    isOver = true;
    silence.end();
    close();
    dropGuess(turn);
  }
};

type Tell = (event: TurnEvent) => void;

async function askLetta(
  letta: LettaOrg,
  { conversationId, lettaAgentId, content, turnId, attempt, model, meter, admitted }: TurnInput,
  // Not the turn's own signal ends the waiting for Letta, which is to store what was said; `late` does when it does not in time.
  { signal, late }: { signal: AbortSignal; late: AbortController },
  tell: Tell,
  words: Words,
  forgotten: () => Forgotten | null,
): Promise<void> {
  const onStop = () => setTimeout(() => late.abort(signal.reason), words.spoken() ? STORE_MS_MAX : 0).unref();
  signal.addEventListener("abort", onStop, { once: true });
  try {
    const otid = otidOf(turnId, attempt);
    const message = { conversationId, content, otid, name: otid, signal: late.signal, admitted };
    for (const event of await letta.sendWhole(message)) {
      switch (event.type) {
        case "run":
          tell({ type: "run", run_id: event.runId });
          break;
        case "text":
          words.fromLetta(event.text);
          break;
        case "tool_return":
          tell({ type: "tool_return", id: event.toolCallId, ok: event.status === "success" });
          break;
        case "usage":
          // The gateway has counted what came through it.
          if (!words.asked()) meter.took({ model, price: null }, usageOf(event.promptTokens, event.completionTokens));
          break;
        case "stop":
          tell({ type: "end", stop_reason: event.reason, stored: words.stored() });
          break;
        case "tool_call": // heard from the model already
        case "reasoning":
        case "approval_request":
          break;
        default:
          event satisfies never;
      }
    }
  } catch (error) {
    // Letta has stored an answer that it calls too long (letta_agent_v3.py: after its messages), such as one that broke off.
    if (error instanceof LettaError && error.code === "max_tokens_exceeded")
      tell({ type: "end", stop_reason: "max_tokens_exceeded", stored: words.stored() });
    if (words.failure() === null) forget({ conversationId, lettaAgentId }); // Letta itself failed, and has not kept what it was answered
    // Letta was to make it shorter first, for which its organization may have nothing left.
    if (words.failure()?.reason === "context_too_long") await meter.stopWithoutSummary();
    // The model's own reason says more than what Letta makes of it.
    const known = forgotten() ?? words.failure() ?? error;
    throw known instanceof LettaError
      ? new SourceError(known.kind, known.message, known.retryable, { cause: known })
      : known;
  } finally {
    signal.removeEventListener("abort", onStop);
  }
  // Letta has stored what was said; that the model broke off before its end is the turn's failure all the same.
  const failure = words.failure();
  if (failure) throw failure;
}

/** Tells when Letta has had the turn for too long without asking a model; while a model works, its own bounds hold. */
function watchSilence(onSilent: () => void) {
  let timer: NodeJS.Timeout | undefined;
  return {
    begin: () => {
      timer = setTimeout(onSilent, LETTA_MS_MAX);
    },
    hear({ type }: ModelEvent) {
      clearTimeout(timer);
      if (type === "answered" || type === "failed") timer = setTimeout(onSilent, LETTA_MS_MAX);
    },
    end: () => clearTimeout(timer),
  };
}

interface Words {
  hear(event: ModelEvent): void;
  fromLetta(text: string): void;
  /** Whether Letta has asked the gateway. */
  asked(): boolean;
  /** Whether anything was said. */
  spoken(): boolean;
  /**
   * Whether Letta has told every word back. Not quite a proof: when the last of its writes fails, its whole answer has the words all the
   * same. The conversation's next request shows it (forgotten.ts). Its stream would tell a step only after it has stored it, and costs more.
   */
  stored(): boolean;
  failure(): SourceError | null;
}

/** Joins the steps of a turn to one text: a further step that speaks begins a new paragraph. */
function createWords(tell: Tell): Words {
  const steps: string[] = []; // what was said in each
  const told: string[] = []; // what Letta said of them
  let unheard = true; // whether the current step came past our gateway, unheard
  let failure: SourceError | null = null;
  let isAsked = false;
  const spoken = () => steps.some((step) => step !== "");
  const say = (text: string) => {
    if (text === "") return;
    const step = steps.pop() ?? "";
    tell({ type: "text", text: step === "" && spoken() ? `\n\n${text}` : text });
    steps.push(step + text);
  };
  return {
    hear(event) {
      switch (event.type) {
        case "asked":
          steps.push("");
          unheard = false;
          isAsked = true;
          failure = null; // Letta asks again: it has compacted a conversation that was too long
          break;
        case "text":
          say(event.text);
          break;
        case "tool_call":
          tell(event);
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
      told.push(text);
      if (!unheard) return;
      steps.push("");
      say(text);
    },
    asked: () => isAsked,
    spoken,
    stored: () => (steps.at(-1) ?? "") !== "" && told.join("") === steps.join(""),
    failure: () => failure,
  };
}
