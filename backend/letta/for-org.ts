import type { LettaOrg } from "../lib/letta-client";
import { letta } from "./client";
import { provision } from "./provision";

/** Organizations kept in memory. One takes a few hundred bytes; a forgotten one costs one query. */
const CACHED_MAX = 10_000;

const ready = new Map<string, LettaOrg>(); // in the order of last use
const underWay = new Map<string, Promise<LettaOrg>>();

/**
 * Letta for one organization: the only way in which the backend reaches it. Makes the organization's place there at its first use.
 * Throws LettaError.
 */
export async function forOrg(orgId: string): Promise<LettaOrg> {
  const known = ready.get(orgId);
  if (known !== undefined) {
    ready.delete(orgId);
    ready.set(orgId, known);
    return known;
  }
  let waiting = underWay.get(orgId);
  if (waiting === undefined) {
    waiting = open(orgId).finally(() => underWay.delete(orgId));
    underWay.set(orgId, waiting);
  }
  return waiting;
}

/** The organization has nothing in Letta any more. */
export function forgetOrg(orgId: string): void {
  ready.delete(orgId);
}

let wall: Promise<void> | undefined;

/** Once a process: whether Letta keeps organizations apart at all. */
function wallHolds(): Promise<void> {
  wall ??= letta()
    .admin.checkWall()
    .catch((error: unknown) => {
      wall = undefined;
      throw error;
    });
  return wall;
}

async function open(orgId: string): Promise<LettaOrg> {
  await wallHolds();
  const org = letta().as(await provision(letta(), orgId));
  if (ready.size >= CACHED_MAX) ready.delete(ready.keys().next().value as string);
  ready.set(orgId, org);
  return org;
}
