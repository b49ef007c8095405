import log from "encore.dev/log";
import { tenant } from "../../db/tenant";
import { newId } from "../../lib/ids";
import { guessesMade, modelCalls, modelTokens } from "../../lib/metrics";
import type { Price } from "../upstreams/upstream";
import { costMicros } from "./cost";
import type { Usage } from "./usage";

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
  /** At which it is accounted; a turn's calls are when the turn ends. */
  price?: Price | null;
  /** Of a turn's call that was asked ahead: what became of that. */
  guess?: GuessOutcome | null;
  durationMs: number;
}

/**
 * Writes a call to a language model down, beside whatever it was for. What it took is added to the ledger of usage, and so to what limits
 * count, unless it was for a turn, which adds its own when it ends. One that cannot be written is told in the log.
 */
export function recordCall(call: ModelCall): void {
  const { orgId, purpose, turnId, agentId, upstream, model, usage, price = null, guess, durationMs } = call;
  const id = newId("call");
  const cost = usage === null || price === null ? null : costMicros(usage, price);
  modelCalls.inc({ purpose });
  modelTokens.inc({ purpose, kind: "prompt" }, usage?.prompt_tokens ?? 0);
  modelTokens.inc({ purpose, kind: "completion" }, usage?.completion_tokens ?? 0);
  if (guess) guessesMade.inc({ outcome: guess });
  tenant(
    orgId,
    (tx) => tx.exec`
      with call as (
        insert into model_calls (org_id, id, purpose, turn_id, agent_id, upstream, model, prompt_tokens, completion_tokens, estimated, guess,
          duration_ms)
        values (${orgId}, ${id}, ${purpose}, ${turnId}, ${agentId ?? null}::text, ${upstream ?? null}::text, ${model},
          ${usage?.prompt_tokens ?? null}::int, ${usage?.completion_tokens ?? null}::int, ${usage?.estimated ?? false},
          ${guess ?? null}::text, ${Math.round(durationMs)}))
      insert into usage_entries (org_id, id, purpose, turn_id, thread_id, agent_id, user_id, key_id, model, prompt_tokens, cached_tokens,
        completion_tokens, estimated, cost_micros, price)
      select ${orgId}, ${id}, ${purpose}, ${turnId}, t.thread_id, ${agentId ?? null}::text, t.asked_by, t.asked_key, ${model},
        ${usage?.prompt_tokens ?? 0}::int, ${usage?.cached_tokens ?? null}::int, ${usage?.completion_tokens ?? 0}::int,
        ${usage?.estimated ?? false}, ${cost}::bigint, ${price === null ? null : JSON.stringify(price)}::text::jsonb
      from (select 1) one left join turns t on t.org_id = ${orgId} and t.id = ${turnId}
      where ${purpose !== "turn" && usage !== null}::boolean`,
  ).catch((error: unknown) =>
    log.error("a model call could not be written down", {
      org_id: orgId,
      purpose,
      turn_id: turnId ?? undefined,
      error: String(error),
    }),
  );
}
