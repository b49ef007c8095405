import type { Tx } from "../db/tenant";
import { invalid } from "../lib/errors";
import type { ExchangeLimits, ThreadState } from "./thread-context";
import type { TurnPolicy } from "./turn-policy";
import { speaking } from "./who-answers";

/** As far as a thread may let its agents go on among themselves. Its own limits begin lower: 8 hops, 32 turns, 200 000 tokens (db/migrations). */
const EXCHANGE_LIMITS_MAX: ExchangeLimits = { hops: 64, turns: 256, tokens: 10_000_000 };

export interface ThreadSettings {
  turn_policy?: TurnPolicy | undefined;
  coordinator_id?: string | undefined;
  exchange_limits?: Partial<ExchangeLimits> | undefined;
}

/** Whether any setting is to be changed. */
export function anySetting({ turn_policy, coordinator_id, exchange_limits }: ThreadSettings): boolean {
  return turn_policy !== undefined || coordinator_id !== undefined || exchange_limits !== undefined;
}

/** Changes who answers in a thread and how far agents may go, under its lock; `state` is the thread as it was locked. */
export async function changeSettings(
  tx: Tx,
  orgId: string,
  state: ThreadState,
  { turn_policy, coordinator_id, exchange_limits = {} }: ThreadSettings,
): Promise<void> {
  const { thread } = state.context;
  if (coordinator_id !== undefined && !speaking(state).some(({ agentId }) => agentId === coordinator_id)) {
    throw invalid(
      "unknown_coordinator",
      "coordinator_id: this is no agent of the thread that may answer.",
      "Give the agent_id of one of the thread's agents that is no listener.",
    );
  }
  if (turn_policy === "coordinator" && (coordinator_id ?? thread.coordinator_id) === null) {
    throw invalid(
      "coordinator_needed",
      "The policy coordinator needs an agent that coordinates.",
      "Give coordinator_id: the agent_id of one of the thread's agents.",
    );
  }
  refuseLimits(exchange_limits);
  await tx.exec`
    update threads
    set turn_policy = coalesce(${turn_policy ?? null}, turn_policy), coordinator_id = coalesce(${coordinator_id ?? null}, coordinator_id),
      exchange_hops_max = coalesce(${exchange_limits.hops ?? null}::int, exchange_hops_max),
      exchange_turns_max = coalesce(${exchange_limits.turns ?? null}::int, exchange_turns_max),
      exchange_tokens_max = coalesce(${exchange_limits.tokens ?? null}::bigint, exchange_tokens_max), updated_at = now()
    where org_id = ${orgId} and id = ${thread.id}`;
}

function refuseLimits(limits: Partial<ExchangeLimits>): void {
  for (const name of ["hops", "turns", "tokens"] as const) {
    const value = limits[name];
    const max = EXCHANGE_LIMITS_MAX[name];
    if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= max)) continue;
    throw invalid(
      "bad_exchange_limit",
      `exchange_limits.${name}: a whole number from 0 to ${max}.`,
      "0 keeps agents from answering each other at all.",
      { limits_max: EXCHANGE_LIMITS_MAX },
    );
  }
}
