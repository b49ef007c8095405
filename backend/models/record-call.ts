import log from "encore.dev/log";
import { tenant } from "../db/tenant";
import { newId } from "../lib/ids";
import { guessesMade, modelCalls, modelTokens } from "../lib/metrics";
import type { Usage } from "./upstream-event";

/** `hit`: Letta asked what was guessed. `miss`: it asked something else. `unused`: the turn ended before it asked. */
export type GuessOutcome = "hit" | "miss" | "unused";

export interface ModelCall {
  orgId: string;
  /** `letta`: what Letta asks on its own account. `guess`: asked ahead in vain. `embedding`: texts as vectors. */
  purpose: "turn" | "letta" | "guess" | "embedding";
  turnId: string | null;
  /** The agent whose turn it is for. */
  agentId?: string | null;
  /** Who answered; null when nobody did. */
  upstream?: string | null;
  model: string;
  /** Null when the provider had not said when the call ended. */
  usage: Usage | null;
  /** Of a turn's call that was asked ahead: what became of that. */
  guess?: GuessOutcome | null;
  durationMs: number;
}

/** Writes a call to a language model down, beside whatever it was for. One that cannot be written is told in the log. */
export function recordCall(call: ModelCall): void {
  const { orgId, purpose, turnId, agentId, upstream, model, usage, guess, durationMs } = call;
  modelCalls.inc({ purpose });
  modelTokens.inc({ purpose, kind: "prompt" }, usage?.prompt_tokens ?? 0);
  modelTokens.inc({ purpose, kind: "completion" }, usage?.completion_tokens ?? 0);
  if (guess) guessesMade.inc({ outcome: guess });
  tenant(
    orgId,
    (tx) => tx.exec`
      insert into model_calls (org_id, id, purpose, turn_id, agent_id, upstream, model, prompt_tokens, completion_tokens, estimated, guess,
        duration_ms)
      values (${orgId}, ${newId("call")}, ${purpose}, ${turnId}, ${agentId ?? null}::text, ${upstream ?? null}::text, ${model},
        ${usage?.prompt_tokens ?? null}::int, ${usage?.completion_tokens ?? null}::int, ${usage?.estimated ?? false},
        ${guess ?? null}::text, ${Math.round(durationMs)})`,
  ).catch((error: unknown) =>
    log.error("a model call could not be written down", {
      org_id: orgId,
      purpose,
      turn_id: turnId ?? undefined,
      error: String(error),
    }),
  );
}
