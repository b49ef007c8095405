import { differently, foreignWords, refusals, secretsShown } from "./answers";
import { type History, NOTHING, type Posted, type Words } from "./history";
import { acknowledged, oneAtATime, order, terminal, usage, wholeTexts } from "./log";
import { bounds } from "./measured";
import { readDatabase } from "./read-database";
import { journals, shownThreads } from "./readings";

export type { History, Posted, Words } from "./history";

/** What must hold of every history, whatever failed meanwhile. */
export const INVARIANTS = {
  I1: "an acknowledged message is stored, once",
  I2: "each reader's stream is a gapless prefix of the log, and the log has no gap",
  I3: "every turn ends once, in time, with its words whole",
  I4: "an agent has one running turn in a thread",
  I5: "usage is the sum of the ended turns, each counted once",
  I6: "nothing of one organization reaches another",
  I7: "memory, queues and connections stay within their bounds",
  I8: "every refusal is typed, fast, and says whether to retry",
  I9: "no secret, SQL text or id of Letta's is in a public answer, and no secret or text of people's in a log",
} as const;

export interface Finding {
  invariant: keyof typeof INVARIANTS;
  text: string;
}

/** Everything about a history that must not be. `words`: what the models of its agents say. */
export function judge(history: History, words: Words = () => null): Finding[] {
  const found: [Finding["invariant"], string[]][] = [
    ["I1", acknowledged(history)],
    ["I2", [...order(history), ...journals(history), ...shownThreads(history)]],
    ["I3", [...terminal(history), ...wholeTexts(history, words)]],
    ["I4", oneAtATime(history)],
    ["I5", usage(history)],
    ["I6", [...foreignWords(history), ...differently(history)]],
    ["I7", bounds(history)],
    ["I8", refusals(history)],
    ["I9", secretsShown(history)],
  ];
  return found.flatMap(([invariant, texts]) => texts.map((text) => ({ invariant, text })));
}

/** What is wrong with a database after a run, and with what was acknowledged in it. */
export async function violations(
  adminUrl: string,
  posted: Posted[],
  more: Partial<History> = {},
  words?: Words,
): Promise<string[]> {
  const history = { ...NOTHING, ...(await readDatabase(adminUrl)), posted, ...more };
  return judge(history, words).map(({ invariant, text }) => `${invariant} ${text}`);
}
