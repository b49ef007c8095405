import { type Amounts, METRICS, type Scope } from "./limit";

const NONE: Amounts = {
  tokens_per_minute: null,
  tokens_per_month: null,
  requests_per_minute: null,
  cost_micros_per_month: null,
};

/** What the operator lets every organization spend at most: GRAPHYN_ORG_LIMITS, a JSON object of amounts. Throws when it is none. */
export function readCeilings(text = process.env.GRAPHYN_ORG_LIMITS): Amounts {
  if (!text) return NONE;
  const wrong = new Error(`GRAPHYN_ORG_LIMITS must be a JSON object of ${METRICS.join(", ")}: whole numbers`);
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw wrong;
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw wrong;
  for (const [name, amount] of Object.entries(given)) {
    if (!(METRICS as readonly string[]).includes(name) || !Number.isSafeInteger(amount) || amount < 0) throw wrong;
  }
  return { ...NONE, ...given };
}

const ceilings = readCeilings();

/** Whether every organization has limits, set by the operator. */
export const ARE_ALL_LIMITED = METRICS.some((metric) => ceilings[metric] !== null);

/** What holds: the organization's own amounts, for the whole of it never above the operator's. */
export function heldTo(scope: Scope, own: Amounts): Amounts {
  if (scope !== "organization") return own;
  const held = { ...own };
  for (const metric of METRICS) {
    const amounts = [own[metric], ceilings[metric]].filter((amount) => amount !== null);
    held[metric] = amounts.length === 0 ? null : Math.min(...amounts);
  }
  return held;
}
