/** Asks the language model: keys, attempts, the second upstream. What of it readers see is decided elsewhere. */
import { setTimeout as sleep } from "node:timers/promises";
import log from "encore.dev/log";
import { upstreamFirstToken, upstreamRequests } from "../../lib/metrics";
import { beginPart, type Context, outgoing, type Part, SpanKind } from "../../lib/tracing";
import type { JsonObject } from "../json";
import { ATTEMPTS_MAX, BACKOFF_MS, type GatewayLimits, RETRY_AFTER_MS_MAX, readLimits } from "../limits";
import type { Meter } from "../metering/meter";
import { estimateUsage } from "../metering/usage";
import { handEach, type TakeEvent, type UpstreamEvent } from "../responses/upstream-event";
import { answering, type Candidate } from "../routing/candidates";
import { cool, warm } from "../routing/cooldown";
import { UpstreamError } from "../upstreams/upstream-error";
import { askOnce } from "./ask-once";

interface Ask {
  /** Whose keys are used; null: the operator's alone. */
  orgId: string | null;
  /** OpenAI's chat completions request, as Letta made it. */
  body: JsonObject;
  /** Ends the upstream's request at once, with the UpstreamError "cancelled". */
  signal: AbortSignal;
  limits?: Partial<GatewayLimits>;
  /** What the request is a part of; what is active without it. */
  trace?: Context | undefined;
  /** It is asked ahead of Letta. */
  isGuess?: boolean;
  /** Says before each request whether it may be made. */
  meter?: Meter;
}

/**
 * Hands over the model's answer as it comes: `begin`, words, `finish`, `usage`; resolves after its end. Before the first word a failure is
 * tried again, at another upstream where one serves the model; after it, never. Throws UpstreamError. End it by `signal`.
 */
export async function askUpstream(asking: Ask, take: TakeEvent): Promise<void> {
  const { orgId, body, signal, limits: own } = asking;
  const limits = { ...readLimits(), ...own };
  const total = startTotal(limits.totalMsMax, signal);
  let said = false;
  try {
    const waiting = await answering(orgId, body);
    const tried = new Set<Candidate>();
    for (let attempt = 1; ; attempt++) {
      const candidate = waiting.shift();
      if (candidate === undefined) throw new UpstreamError("model_unknown");
      if (total.signal.aborted) throw total.signal.reason;
      if (!(await mayAsk(asking, candidate))) throw new UpstreamError("cancelled");
      tried.add(candidate);
      const { name } = candidate.upstream;
      const asked = performance.now();
      const part = beginChat(asking, candidate, attempt);
      try {
        await askOnce(candidate, body, limits, total.signal, outgoing(part.context), (events) => {
          for (const event of events) describe(part, event);
          if (said || events.length === 0) return handEach(events, take);
          said = true;
          upstreamFirstToken.observe({ upstream: name }, (performance.now() - asked) / 1_000);
          return handEach([beginOf(candidate, attempt), ...events], take);
        });
        warm(candidate.coldKey);
        upstreamRequests.inc({ upstream: name, outcome: "ok" });
        part.end();
        return;
      } catch (thrown) {
        const error = thrown as UpstreamError; // askOnce throws nothing else
        error.upstream = name;
        upstreamRequests.inc({ upstream: name, outcome: error.reason });
        part.end(error.reason);
        if (said || !error.elsewhere) throw error;
        if (error.reason !== "model_unknown") cool(candidate.coldKey, error);
        const again = error.retryable && error.reason !== "timeout" && (error.retryAfterMs ?? 0) <= RETRY_AFTER_MS_MAX;
        if (again) waiting.push(candidate);
        const next = waiting[0];
        if (next === undefined || attempt >= ATTEMPTS_MAX) throw error;
        log.warn("a language model's upstream failed; asking again", {
          upstream: candidate.upstream.name,
          next: next.upstream.name,
          reason: error.reason,
          status: error.status ?? undefined,
          code: error.code ?? undefined,
          attempt,
        });
        if (tried.has(next)) await sleep(backoff(attempt, error), undefined, { signal: total.signal });
      }
    }
  } catch (thrown) {
    const stopped = total.signal.aborted && !(thrown instanceof UpstreamError) ? total.signal.reason : thrown;
    if (stopped instanceof UpstreamError) stopped.afterFirstToken = said;
    throw stopped;
  } finally {
    total.stop();
  }
}

async function mayAsk({ meter, body }: Ask, { price }: Candidate): Promise<boolean> {
  if (meter === undefined) return true;
  return meter.ask({ model: String(body.model), price, estimate: (chars) => estimateUsage(body, chars) });
}

/** By the GenAI semantic conventions: what was asked of whom, nothing of what was said. */
function beginChat({ trace, isGuess = false }: Ask, { upstream, model }: Candidate, attempt: number): Part {
  return beginPart(`chat ${model}`, {
    kind: SpanKind.CLIENT,
    parent: trace,
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": upstream.name,
      "gen_ai.request.model": model,
      "gen_ai.request.stream": true,
      "server.address": new URL(upstream.baseUrl).hostname,
      "graphyn.attempt": attempt,
      "graphyn.asked_ahead": isGuess,
    },
  });
}

function describe(part: Part, event: UpstreamEvent): void {
  if (event.type === "finish") part.set({ "gen_ai.response.finish_reasons": [event.reason] });
  if (event.type === "usage") {
    const { prompt_tokens, completion_tokens } = event.usage;
    part.set({ "gen_ai.usage.input_tokens": prompt_tokens, "gen_ai.usage.output_tokens": completion_tokens });
  }
}

function beginOf({ upstream, model, ownKey, price }: Candidate, attempt: number): UpstreamEvent {
  return { type: "begin", upstream: upstream.name, model, attempt, ownKey, price };
}

function backoff(attempt: number, { retryAfterMs }: UpstreamError): number {
  const wait = BACKOFF_MS * 2 ** (attempt - 1);
  return Math.max(retryAfterMs ?? 0, wait / 2 + (Math.random() * wait) / 2);
}

/** The caller's stop and the bound of the whole answer as one signal, whose reason is an UpstreamError. */
function startTotal(ms: number, outer: AbortSignal): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new UpstreamError("timeout", { code: "total" })), ms);
  const onAbort = () => controller.abort(new UpstreamError("cancelled"));
  if (outer.aborted) onAbort();
  outer.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    stop() {
      clearTimeout(timer);
      outer.removeEventListener("abort", onAbort);
    },
  };
}
