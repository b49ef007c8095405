/** Who can answer: the upstreams that serve a model, with the key to use for an organization, best first. */

import type { JsonObject } from "../json";
import { upstreams } from "../upstreams/configured";
import { ownKeys } from "../upstreams/credentials";
import type { Price, Upstream } from "../upstreams/upstream";
import { UpstreamError } from "../upstreams/upstream-error";
import { operatorKey } from "../upstreams/upstream-keys";
import { isCold } from "./cooldown";
import { servedBy } from "./model-catalog";

export interface Candidate {
  upstream: Upstream;
  /** The model, by the upstream's own id. */
  model: string;
  key: string | undefined;
  /** The key is the organization's. */
  ownKey: boolean;
  price: Price | null;
  /** What a failure of it is remembered by. */
  coldKey: string;
}

/**
 * In the order of the configuration, but those with a key of the organization's own before others, and those that have just failed after
 * the rest. Empty when nobody serves the model. Without an organization, the operator's keys alone.
 */
async function candidatesFor(orgId: string | null, model: string, upstreams: Upstream[]): Promise<Candidate[]> {
  const [own, served] = await Promise.all([
    orgId === null ? new Map<string, string>() : ownKeys(orgId),
    servedBy(model, upstreams),
  ]);
  const candidates = served.flatMap(({ upstream, model: theirs, price }): Candidate[] => {
    const ownKey = own.get(upstream.name);
    const key = ownKey ?? operatorKey(upstream);
    if (key === undefined && upstream.needsKey) return [];
    if (ownKey === "") return []; // not to be opened: the operator's key must not pay in its place
    const isOwn = ownKey !== undefined;
    return [
      {
        upstream,
        model: theirs,
        key,
        ownKey: isOwn,
        price,
        coldKey: `${upstream.name} ${theirs} ${isOwn ? orgId : ""}`,
      },
    ];
  });
  if (candidates.length === 0 && served.some(({ upstream }) => own.get(upstream.name) === "")) {
    throw new UpstreamError("key_invalid", { code: "cannot_be_opened" });
  }
  const rank = ({ ownKey, coldKey }: Candidate) => (ownKey ? 0 : 1) + (isCold(coldKey) ? 2 : 0);
  return candidates.toSorted((a, b) => rank(a) - rank(b));
}

/** Who can answer a request, by the name of its model as it was listed. */
export async function answering(orgId: string | null, body: JsonObject): Promise<Candidate[]> {
  const fast = fastName(body);
  const found = fast === null ? [] : await candidatesFor(orgId, fast, upstreams());
  return found.length > 0 ? found : candidatesFor(orgId, String(body.model), upstreams());
}

/** Letta takes "-fast" from a model's name and sends a service tier in its place: the name as it was listed, if it was. */
function fastName({ model, service_tier }: JsonObject): string | null {
  return service_tier === "priority" && typeof model === "string" ? `${model}-fast` : null;
}
