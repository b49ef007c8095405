import type { Tx } from "../../db/tenant";
import { costMicros } from "../../models/metering/cost";
import { estimateTokens } from "../../models/metering/usage";
import { modelId, priceOf } from "../../models/routing/price-of";
import type { Spent } from "../../usage/meter";
import { EXPECTED_PROMPT } from "../../usage/reserve";

/**
 * What a turn took whose process died and told nobody: its prompt as it was expected to be, and the words that were stored. The words of
 * earlier attempts, which nobody saw, are not known.
 */
export async function lostUsage(tx: Tx, orgId: string, turnId: string, text: string): Promise<Spent | null> {
  const row = await tx.rawQueryRow<{ model: string; prompt: number }>(
    `select a.model, ${EXPECTED_PROMPT} as prompt
     from turns t join agent_versions a on (a.org_id, a.id) = (t.org_id, t.agent_version_id)
     where t.org_id = $1 and t.id = $2`,
    orgId,
    turnId,
  );
  if (!row) return null;
  const price = await priceOf(row.model);
  const tokens = { prompt_tokens: row.prompt, completion_tokens: estimateTokens(text.length), cached_tokens: null };
  const cost_micros = price && costMicros(tokens, price);
  return { model: modelId(row.model), ...tokens, cost_micros, price, estimated: true };
}
