import log from "encore.dev/log";
import { tenant } from "../db/tenant";
import type { Caller } from "./authenticate";
import { type CredentialEnd, readEnds } from "./credential-end";

/**
 * What callers hold open, looked after together: every LOOK_MS one transaction for each organization with something open in this process.
 * So whatever a credential opened ends within two looks of its end, on every node, without a message that could be lost.
 */
export interface Watched {
  who: Caller;
  threadId: string;
  /** Called, once, when what the caller called with counts no more. */
  credentialEnded(why: CredentialEnd): void;
}

/** A revoked key must be gone within 5 s: this, and what authenticate.ts trusts without asking, stay below it together. */
const LOOK_MS = 2_000;
/** Organizations looked after at the same time: most connections to the database stay for others. */
const LOOKS_AT_ONCE = 3;

const watched = new Map<string, Set<Watched>>();

export function watchCredential(one: Watched): void {
  const { orgID } = one.who;
  const its = watched.get(orgID) ?? new Set();
  watched.set(orgID, its.add(one));
}

export function unwatchCredential(one: Watched): void {
  const { orgID } = one.who;
  const its = watched.get(orgID);
  its?.delete(one);
  if (its?.size === 0) watched.delete(orgID);
}

async function lookAt(orgId: string, its: readonly Watched[]): Promise<void> {
  try {
    const endOf = await tenant(orgId, (tx) => readEnds(tx, orgId, its));
    for (const one of its) {
      const why = endOf(one);
      if (why) one.credentialEnded(why);
    }
  } catch (error) {
    log.warn("looking whether credentials still count failed; the next look tries again", {
      org_id: orgId,
      error: String(error),
    });
  }
}

async function lookForEver(): Promise<void> {
  const waiting = [...watched].map(([orgId, its]) => [orgId, [...its]] as const);
  const worker = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) await lookAt(...next);
  };
  await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, worker));
  setTimeout(() => void lookForEver(), LOOK_MS).unref();
}
setTimeout(() => void lookForEver(), LOOK_MS).unref();
