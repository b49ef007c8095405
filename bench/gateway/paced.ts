/** What a way adds to each token of a paced answer: from when the model sent it, by its own record, to when the reader has it. */
import { type Api, call } from "../lib/http";
import { seededRandom, shuffled } from "../lib/stats";
import { tokenEnds } from "../lib/tokens";
import { pause, type Target } from "./targets";

export interface Paced {
  arm: string;
  round: number;
  /** ms, token by token. */
  delays: number[];
}

const TOKENS = 300;
export const PACED_MODEL = "dev-n300-r50";

interface Recorded {
  requests: { tokens_sent: number; token_sent_monotonic_ms: number[] }[];
}

export async function measurePaced(
  targets: readonly Target[],
  model: Api,
  { seed, rounds, budgetMs }: { seed: number; rounds: number; budgetMs: number },
): Promise<Paced[]> {
  const random = seededRandom(seed);
  const begin = performance.now();
  const result: Paced[] = [];
  for (let round = 0; round < rounds && (round === 0 || performance.now() - begin < budgetMs); round++) {
    for (const target of shuffled(targets, random)) {
      const line = await (await target.begin(PACED_MODEL))();
      await call(model, "DELETE", "/debug/requests");
      try {
        const arrivals = await tokenArrivals(line.send);
        await pause();
        const { requests } = await call<Recorded>(model, "GET", `/debug/requests?model=${PACED_MODEL}`);
        const sent = requests.find(({ tokens_sent }) => tokens_sent >= TOKENS)?.token_sent_monotonic_ms ?? [];
        if (sent.length < TOKENS) throw new Error(`${target.name}: the model has no record of ${TOKENS} tokens sent`);
        result.push({ arm: target.name, round, delays: arrivals.map((at, i) => at - (sent[i] ?? Number.NaN)) });
      } finally {
        line.close();
      }
    }
  }
  return result;
}

/** When each token's last character had arrived, on the clock of process.hrtime. Tokens are "1", " 2", " 3" …, however they are packed. */
async function tokenArrivals(send: (onText: (text: string, at: number) => void) => Promise<unknown>) {
  const toMonotonic = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  const ends = tokenEnds(TOKENS);
  const arrivals: number[] = [];
  let length = 0;
  await send((text, at) => {
    length += text.length;
    while (arrivals.length < TOKENS && (ends[arrivals.length] as number) <= length) arrivals.push(at + toMonotonic);
  });
  if (arrivals.length < TOKENS) throw new Error(`${arrivals.length} of ${TOKENS} tokens arrived`);
  return arrivals;
}
