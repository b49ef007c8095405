/** Whether it pays to ask an agent's model ahead of Letta: by what the agent wants, how its guesses have fared, and what they cost. */
import { tenant } from "../../db/tenant";
import type { AskAhead, OpenTurn } from "../correlation/open-turns";
import { estimateUsage } from "../metering/usage";
import type { ChatBody } from "../requests/chat-body";
import { answering } from "../routing/candidates";
import { createRecent } from "./recent";

/** Guesses looked at to decide whether asking ahead pays. */
const OUTCOMES_KEPT = 20;
/** Below this share of hits, asking ahead costs more than it gives. */
const HIT_RATE_MIN = 0.5;
/** With fewer outcomes than this nothing is decided by them yet. */
const OUTCOMES_MIN = 4;
/** While off, one turn in so many is tried, to see whether it pays again. */
const PROBE_EVERY = 20;
/** What a turn may lose on guesses in the mean, in US dollars, where the upstream's price is known and nothing else is said of it. */
export const WASTE_USD_MAX = 0.01;
const TOKENS_PRICED = 1_000_000;

interface Fared {
  /** Newest last; true is a hit. */
  outcomes: boolean[];
  /** Turns in a row that were not asked ahead because of them. */
  skipped: number;
}

const known = createRecent<Fared>({ entriesMax: 10_000, charsMax: 10_000 * OUTCOMES_KEPT });

export async function guessPays(turn: OpenTurn, wanted: AskAhead, body: ChatBody): Promise<boolean> {
  if (wanted === "off") return false;
  const [first] = await answering(turn.orgId, body);
  if (first === undefined) return false;
  const { upstream, ownKey, price } = first;
  // Who pays decides: the operator for the operator's key, the organization for its own.
  if (upstream.askAhead === false && !(wanted === "on" && ownKey)) return false;
  if (wanted === "on") return true;
  const fared = await howFared(turn);
  const hits = fared.outcomes.filter(Boolean).length;
  const waste =
    price === null ? 0 : (wasteRate(fared) * estimateUsage(body, 0).prompt_tokens * price.prompt) / TOKENS_PRICED;
  const usdMax = upstream.askAhead === false ? 0 : (upstream.askAhead?.usdMax ?? WASTE_USD_MAX);
  const isGood = fared.outcomes.length < OUTCOMES_MIN || hits / fared.outcomes.length >= HIT_RATE_MIN;
  if (isGood && waste <= usdMax) return true;
  if (waste > usdMax * PROBE_EVERY) return false; // a single try would cost too much
  fared.skipped++;
  return fared.skipped % PROBE_EVERY === 0;
}

/** How likely the next guess misses: one miss and one hit more than were seen, so that a few outcomes do not say "never". */
function wasteRate({ outcomes }: Fared): number {
  const misses = outcomes.filter((hit) => !hit).length;
  return (misses + 1) / (outcomes.length + 2);
}

export function noteGuess(turn: OpenTurn, hit: boolean): void {
  const fared = known.get(keyOf(turn));
  if (fared === undefined) return; // read from the database when it is wanted next
  fared.outcomes = [...fared.outcomes, hit].slice(-OUTCOMES_KEPT);
}

/** From the database the first time, so that a restarted process, or another one, knows what was learned. */
async function howFared(turn: OpenTurn): Promise<Fared> {
  const before = known.get(keyOf(turn));
  if (before !== undefined) return before;
  const { orgId, agentId } = turn;
  const rows = await tenant(
    orgId,
    (tx) => tx.queryAll<{ guess: string }>`
      select guess from model_calls
      where org_id = ${orgId} and agent_id = ${agentId} and guess in ('hit', 'miss')
      order by created_at desc limit ${OUTCOMES_KEPT}`,
  );
  const fared = { outcomes: rows.map(({ guess }) => guess === "hit").reverse(), skipped: 0 };
  known.set(keyOf(turn), fared, OUTCOMES_KEPT);
  return fared;
}

function keyOf({ orgId, agentId }: OpenTurn): string {
  return `${orgId} ${agentId}`;
}
