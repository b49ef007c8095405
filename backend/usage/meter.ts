import type { LimitName } from "../lib/events";
import { costMicros } from "../models/metering/cost";
import type { Meter, ModelAsk } from "../models/metering/meter";
import type { Usage } from "../models/metering/usage";
import type { Price } from "../models/upstreams/upstream";
import { ANSWER_TOKENS, PROMPT_CHARS_PER_TOKEN, type Reserved, wholeCall } from "./estimates";

/** What a turn has taken, all its calls together. */
export interface Spent {
  model: string;
  prompt_tokens: number;
  completion_tokens: number;
  cached_tokens: number | null;
  /** Millionths of a US dollar; null where the price of any call is not known. */
  cost_micros: number | null;
  /** Of its last call. */
  price: Price | null;
  /** Some of the tokens are not as the provider counted them. */
  estimated: boolean;
}

/** How many tokens before what was set aside is used up more is asked for, so that no word has to wait. */
const AHEAD_TOKENS = ANSWER_TOKENS / 2;
/** The last of a budget is taken in halves of the slice before, down to this. */
const LAST_TOKENS = 16;
/** By which the estimate of a prompt is raised. */
const PROMPT_MARGIN = 4 / PROMPT_CHARS_PER_TOKEN;

interface Work {
  /** What was set aside for the turn; null: no limit holds. */
  reserved: Pick<Reserved, "tokens" | "costMicros"> | null;
  /** Sets more aside; answers the limit that does not allow it, or null. */
  extend(more: { tokens: number; costMicros: number }): Promise<LimitName | null>;
  /** The limit that has no room for a call that is for no turn; null where there is room. */
  beside(call: { tokens: number; costMicros: number }): Promise<LimitName | null>;
  /** Ends the turn: its budget is spent. */
  stop(): void;
}

export interface TurnMeter extends Meter {
  /** A call that was not seen as it was made. */
  took(call: Pick<ModelAsk, "model" | "price">, usage: Usage): void;
  /**
   * The model refused the last call as too long, and nobody has made it shorter: stops the turn where there is nothing left for a summary,
   * which takes about as much as that call.
   */
  stopWithoutSummary(): Promise<void>;
  /** What the turn took: no more is counted afterwards. Null where no model was asked. */
  close(): Spent | null;
  /** The limit that stopped the turn. */
  spentLimit(): LimitName | null;
  /** What the prompt was estimated at when the turn was asked, for where it cannot be seen. */
  expectedPrompt(): number;
}

/**
 * Counts one run of a turn against what was set aside for it, and has more set aside as it grows: before a call whose prompt is longer than
 * was thought, and while a long answer comes. A piece of an answer is counted before anybody has it, as one token or as four characters
 * each, whatever is more; so what is shown is never more than what is set aside. What the provider counts in the end may still be.
 */
export function makeMeter({ reserved, extend, beside, stop }: Work): TurnMeter {
  let spent: Spent | null = null;
  let open: { call: ModelAsk; prompt: number; chars: number; pieces: number } | null = null;
  let tokensHeld = reserved?.tokens ?? 0;
  let costHeld = reserved?.costMicros ?? 0;
  let extending: Promise<void> | null = null;
  let refusedBy: LimitName | null = null;
  let isClosed = false;
  let last: ModelAsk | null = null;

  const answerTokens = () => (open === null ? 0 : Math.max(open.pieces, Math.ceil(open.chars / 4)));
  function need(aheadTokens: number): { tokens: number; costMicros: number } {
    const { prompt = 0, call } = open ?? {};
    const completion = answerTokens() + aheadTokens;
    const tokens = (spent?.prompt_tokens ?? 0) + (spent?.completion_tokens ?? 0) + prompt + completion;
    const price = call?.price ?? null;
    const usage = { prompt_tokens: prompt, cached_tokens: null, completion_tokens: completion };
    return { tokens, costMicros: (spent?.cost_micros ?? 0) + (price === null ? 0 : costMicros(usage, price)) };
  }
  function fits(aheadTokens: number): boolean {
    const { tokens, costMicros: cost } = need(aheadTokens);
    return tokens <= tokensHeld && cost <= costHeld;
  }
  /** One at a time: has set aside what has come and as much more, or less where less is left. */
  function extendAhead(): Promise<void> {
    extending ??= (async () => {
      for (let ahead = ANSWER_TOKENS; ; ahead /= 2) {
        const wanted = need(ahead);
        const tokens = Math.max(0, wanted.tokens - tokensHeld);
        const cost = Math.max(0, wanted.costMicros - costHeld);
        const refused = await extend({ tokens, costMicros: cost });
        if (refused === null) {
          tokensHeld += tokens;
          costHeld += cost;
          break;
        }
        if (ahead > LAST_TOKENS) continue;
        refusedBy = refused; // what is set aside may still be used up
        break;
      }
      extending = null;
    })();
    return extending;
  }
  async function untilFits(): Promise<boolean> {
    while (!fits(0) && !isClosed) {
      if (refusedBy === null) {
        await extendAhead();
        continue;
      }
      stop();
      return false;
    }
    return !isClosed;
  }

  return {
    async ask(call) {
      if (isClosed) return false;
      last = call;
      const prompt = reserved === null ? 0 : Math.ceil(call.estimate(0).prompt_tokens * PROMPT_MARGIN);
      open = { call, prompt, chars: 0, pieces: 0 };
      if (reserved === null) return true;
      if (!fits(AHEAD_TOKENS) && refusedBy === null) await extendAhead();
      const may = await untilFits();
      if (!may) open = null; // it is not asked
      return may;
    },
    heard(chars) {
      if (isClosed) return false;
      if (open === null || chars === 0) return true;
      open.chars += chars;
      open.pieces++;
      if (reserved === null) return true;
      if (!fits(AHEAD_TOKENS) && refusedBy === null) void extendAhead();
      if (fits(0)) return true;
      const call = open;
      return untilFits().then((may) => {
        if (may) return true;
        call.chars -= chars; // nobody gets to see it
        call.pieces--;
        return false;
      });
    },
    ended(usage, isCharged) {
      if (open === null || isClosed) return usage;
      const { call } = open;
      const counted = usage ?? { ...call.estimate(0), completion_tokens: answerTokens() };
      open = null;
      if (!isCharged) return null;
      spent = add(spent, call, counted);
      return counted;
    },
    async stopWithoutSummary() {
      if (last === null || isClosed) return;
      const limit = await beside(wholeCall(last));
      if (limit === null || isClosed) return;
      refusedBy = limit;
      stop();
    },
    took(call, usage) {
      if (!isClosed) spent = add(spent, call, usage);
    },
    close() {
      if (open !== null) this.ended(null, true);
      isClosed = true;
      return spent;
    },
    spentLimit: () => refusedBy,
    expectedPrompt: () => Math.max(0, Math.floor(((reserved?.tokens ?? 0) - ANSWER_TOKENS) / PROMPT_MARGIN)),
  };
}

function add(before: Spent | null, { model, price }: Pick<ModelAsk, "model" | "price">, usage: Usage): Spent {
  const cost = price === null ? null : costMicros(usage, price);
  const { prompt_tokens, completion_tokens, cached_tokens, estimated } = usage;
  if (before === null) {
    return { model, price, prompt_tokens, completion_tokens, cached_tokens, cost_micros: cost, estimated };
  }
  const isCacheKnown = before.cached_tokens !== null || cached_tokens !== null;
  return {
    model,
    price,
    prompt_tokens: before.prompt_tokens + prompt_tokens,
    completion_tokens: before.completion_tokens + completion_tokens,
    cached_tokens: isCacheKnown ? (before.cached_tokens ?? 0) + (cached_tokens ?? 0) : null,
    cost_micros: before.cost_micros === null || cost === null ? null : before.cost_micros + cost,
    estimated: before.estimated || estimated,
  };
}
