import { forget, lacksLastAnswer, remember } from "../ask-ahead/ask-ahead";
import { canonical } from "../ask-ahead/canonical";
import { takeGuess } from "../ask-ahead/guesses";
import type { OpenTurn } from "../correlation/open-turns";
import { recordCall } from "../metering/record-call";
import type { Usage } from "../metering/usage";
import { askUpstream } from "../requests/ask-upstream";
import type { ChatBody } from "../requests/chat-body";
import type { UpstreamEvent } from "../responses/upstream-event";
import { UpstreamError } from "../upstreams/upstream-error";

/** Gives Letta the next event of its answer. */
export type Give = (event: UpstreamEvent) => void;

/** What a turn's steps have been answered, so that a request which Letta repeats is answered again and not asked again. */
const answered = new WeakMap<OpenTurn, Map<string, Promise<UpstreamEvent[]>>>();

/**
 * Answers one request that Letta makes for a turn. What the model says goes to the turn's readers first and from here on to Letta, so
 * that both have the same words, whatever happens:
 *
 * | what happens                              | readers      | Letta is given                 | the turn         |
 * |-------------------------------------------|--------------|--------------------------------|------------------|
 * | an answer, tool calls, several steps      | every token  | the same, whole                | goes on          |
 * | no answer before the first token          | nothing      | the error, and keeps nothing   | fails, typed     |
 * | no answer in a later step                 | what came    | the error, and keeps the steps | fails, typed     |
 * | an error or a cut in mid-answer           | what came    | what came, finish `length`     | fails, typed     |
 * | a cut in a tool call                      | what came    | what came, without the call    | fails, typed     |
 * | stopped in mid-answer, by whatever reason | what came    | what came, finish `stop`       | as it was told   |
 * | stopped before a word                     | nothing      | an error, and keeps nothing    | as it was told   |
 * | the provider's content filter             | what came    | what came, `content_filter`    | fails, typed     |
 * | the model's longest length                | what came    | what came, `length`            | `answer_too_long`|
 * | an empty answer                           | nothing      | an empty answer                | completes        |
 * | Letta repeats a request                   | nothing more | the recorded answer            | goes on          |
 * | refused as too long, then compacted       | the answer   | the error, then the answer     | goes on          |
 * | Letta's own request for a summary         | nothing      | the summary                    | is not touched   |
 * | Letta fails when it has the answer        | the answer   | the answer, and keeps nothing  | completes or fails; the agent is told with its next turn |
 * | Letta lacks the conversation's last answer | nothing yet | an error, and keeps nothing    | begins anew, and tells what Letta lacks |
 * | a request for an earlier turn comes late  | nothing      | a refusal (asked-by.ts)        | is not touched   |
 *
 * Each row has its test: __tests__/models/every-case.test.ts, compaction.test.ts, letta-fails.test.ts, hand-over.test.ts.
 */
export async function answerTurn(turn: OpenTurn, body: ChatBody, give: Give): Promise<void> {
  const steps = answered.get(turn) ?? new Map<string, Promise<UpstreamEvent[]>>();
  answered.set(turn, steps);
  const key = canonical(body);
  const before = steps.get(key);
  if (before) {
    for (const event of await before) give(event);
    return;
  }
  const record: UpstreamEvent[] = [];
  let settle: (events: UpstreamEvent[]) => void = () => {};
  steps.set(
    key,
    new Promise((resolve) => {
      settle = resolve;
    }),
  );
  try {
    await hearStep(turn, body, steps.size, (event) => {
      record.push(event);
      give(event);
    });
    settle(record);
  } catch (error) {
    steps.delete(key); // nothing was said: a repeated request may try again
    settle(record);
    throw error;
  }
}

async function hearStep(turn: OpenTurn, body: ChatBody, step: number, give: Give): Promise<void> {
  const { orgId, turnId, agentId, signal, meter } = turn;
  const asked = step > 1 && turn.steer ? await turn.steer(body) : body;
  const guessed = takeGuess(turn, body);
  if (step === 1 && guessed === null && lacksLastAnswer(turn, body) && (await turn.doubt?.())) {
    forget(turn);
    throw new UpstreamError("cancelled", { code: "begins_anew" });
  }
  const begun = performance.now();
  let usage: Usage | null = null;
  let upstream: string | null = null;
  let text = "";
  let isCharged = true;
  // A call goes to Letta only with the answer's proper end: one that broke off must not be carried out, nor one of a stopped turn.
  const calls: UpstreamEvent[] = [];
  turn.hear({ type: "asked", step });
  const forgotten = forget(turn);
  try {
    if (guessed) await guessed(counted);
    else await askUpstream({ orgId, body: asked, signal, trace: turn.trace, meter }, counted);
    turn.hear({ type: "answered", step });
  } catch (error) {
    const known = error instanceof UpstreamError ? error : new UpstreamError("unavailable", { cause: error });
    // A provider that began to answer, or whose answer was not waited for, charges for it.
    isCharged = upstream !== null || known.reason === "cancelled";
    if (known.reason !== "cancelled") {
      turn.hear({
        type: "failed",
        reason: known.reason,
        message: known.message,
        retryable: known.retryable,
      });
    }
    if (text === "") {
      if (step === 1) forgotten.recall(); // Letta keeps nothing of this turn
      throw known;
    }
    const reason = known.reason === "cancelled" ? "stop" : "length";
    give({ type: "finish", reason });
    if (asked === body) remember(turn, body, text);
    turn.hear({ type: "answered", step });
  } finally {
    const durationMs = performance.now() - begun;
    const guess = guessed === null ? null : "hit";
    recordCall({
      orgId,
      purpose: "turn",
      turnId,
      agentId,
      upstream,
      model: String(body.model),
      usage: meter.ended(usage, isCharged),
      guess,
      durationMs,
    });
  }

  /** Nobody has an event before it is counted. */
  function counted(event: UpstreamEvent): void | Promise<void> {
    const may = meter.heard(charsOf(event));
    if (may === true) return hear(event);
    return Promise.resolve(may).then((isPaid) => {
      if (!isPaid) throw new UpstreamError("cancelled");
      hear(event);
    });
  }
  function hear(event: UpstreamEvent): void {
    switch (event.type) {
      case "text":
        text += event.text;
        turn.hear({ type: "text", text: event.text });
        break;
      case "tool_call":
        if (event.id !== null && event.name !== null)
          turn.hear({ type: "tool_call", id: event.id, name: event.name, arguments: "" });
        calls.push(event);
        return;
      case "finish":
        if (event.reason === "content_filter") turn.hear({ type: "failed", ...refused() });
        if (event.reason === "length") turn.hear({ type: "failed", ...TOO_LONG });
        if (event.reason === "tool_calls") for (const call of calls) give(call);
        // Not after a steered step: Letta does not know what was asked with it.
        if (event.reason === "stop" && calls.length === 0 && asked === body) remember(turn, body, text);
        break;
      case "usage":
        usage = event.usage;
        break;
      case "begin":
        upstream = event.upstream;
        break;
      case "reasoning":
        break;
      default:
        event satisfies never;
    }
    give(event);
  }
}

/** What of an answer counts: also what nobody sees. */
function charsOf(event: UpstreamEvent): number {
  if (event.type === "text" || event.type === "reasoning") return event.text.length;
  return event.type === "tool_call" ? event.arguments.length + (event.name?.length ?? 0) : 0;
}

const TOO_LONG = {
  reason: "answer_too_long",
  message: "The agent's answer reached the longest length that its language model gives, and ends there.",
  retryable: false,
};

function refused(): { reason: string; message: string; retryable: boolean } {
  const { message, retryable } = new UpstreamError("content_refused");
  return { reason: "content_refused", message, retryable };
}
