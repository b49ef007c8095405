import type { Tx } from "../../db/tenant";

/** How guessing an agent's requests has fared, and what guesses have cost that were of no use. */
export interface GuessFigures {
  /** Days back from now that are counted. */
  days: number;
  /** Turns answered from a guess. */
  hits: number;
  /** Guesses that were not what Letta asked; their answers were dropped unseen. */
  misses: number;
  /** Guesses of turns that ended before Letta asked anything. */
  unused: number;
  /** Tokens of the misses and the unused: they were paid for. */
  missed_prompt_tokens: number;
  missed_completion_tokens: number;
  /** Whether some of those tokens are estimates: providers do not count what is broken off. */
  missed_tokens_estimated: boolean;
}

const DAYS = 7;

export async function guessFigures(tx: Tx, orgId: string, agentId: string): Promise<GuessFigures> {
  const row = await tx.queryRow<Omit<GuessFigures, "days">>`
    select count(*) filter (where guess = 'hit')::int as hits, count(*) filter (where guess = 'miss')::int as misses,
      count(*) filter (where guess = 'unused')::int as unused,
      coalesce(sum(prompt_tokens) filter (where guess <> 'hit'), 0)::float8 as missed_prompt_tokens,
      coalesce(sum(completion_tokens) filter (where guess <> 'hit'), 0)::float8 as missed_completion_tokens,
      coalesce(bool_or(estimated) filter (where guess <> 'hit'), false) as missed_tokens_estimated
    from model_calls
    where org_id = ${orgId} and agent_id = ${agentId} and guess is not null and created_at > now() - make_interval(days => ${DAYS}::int)`;
  if (!row) throw new Error("an aggregate gave no row");
  return { days: DAYS, ...row };
}
