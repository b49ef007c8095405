import log from "encore.dev/log";
import { tenant } from "../db/tenant";
import { newId } from "../lib/ids";
import type { Usage } from "./upstream-event";

export interface ModelCall {
  orgId: string;
  /** `letta`: what Letta asks on its own account. `guess`: asked ahead in vain. */
  purpose: "turn" | "letta" | "guess";
  turnId: string | null;
  model: string;
  /** Null when the provider had not said when the call ended. */
  usage: Usage | null;
  durationMs: number;
}

/** Writes a call to a language model down, beside whatever it was for. One that cannot be written is told in the log. */
export function recordCall({ orgId, purpose, turnId, model, usage, durationMs }: ModelCall): void {
  tenant(
    orgId,
    (tx) => tx.exec`
      insert into model_calls (org_id, id, purpose, turn_id, model, prompt_tokens, completion_tokens, duration_ms)
      values (${orgId}, ${newId("call")}, ${purpose}, ${turnId}, ${model}, ${usage?.prompt_tokens ?? null}::int,
        ${usage?.completion_tokens ?? null}::int, ${Math.round(durationMs)})`,
  ).catch((error: unknown) =>
    log.error("a model call could not be written down", {
      org_id: orgId,
      purpose,
      turn_id: turnId ?? undefined,
      error: String(error),
    }),
  );
}
