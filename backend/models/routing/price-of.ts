import { setTimeout as sleep } from "node:timers/promises";
import { upstreams } from "../upstreams/configured";
import type { Price } from "../upstreams/upstream";
import { servedBy } from "./model-catalog";

/** How long the upstreams' lists of models are waited for, which are there already but at a process's start. */
const WAIT_MS_MAX = 1_000;

/** A model as the gateway names it. Before it, in Letta's name for it, stands Letta's name for the provider. */
export function modelId(lettaModel: string): string {
  return lettaModel.slice(lettaModel.indexOf("/") + 1);
}

/**
 * What a model costs at the upstream that is asked first, by Letta's name for it; null where that is not known. Asks no database, so that
 * a transaction can ask it.
 */
export async function priceOf(lettaModel: string): Promise<Price | null> {
  const served = servedBy(modelId(lettaModel), upstreams()).catch(() => []);
  const [first] = await Promise.race([served, sleep(WAIT_MS_MAX, [], { ref: false })]);
  return first?.price ?? null;
}
