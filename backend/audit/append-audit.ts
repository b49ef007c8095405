import type { Tx } from "../db/tenant";
import { canonicalJson, type Json } from "../lib/canonical-json";
import { type AuditAction, FIRST_ACTIONS } from "./actions";
import { signingKey } from "./audit-keys";
import { type ActorKind, hashOf, sealOf } from "./entry";

/** Who did it. `user`: the person for whom a key acts. */
export interface AuditActor {
  kind: ActorKind;
  id: string;
  user?: string;
}

export const OPERATOR: AuditActor = { kind: "operator", id: "operator" };
export const SYSTEM: AuditActor = { kind: "system", id: "system" };

export interface AuditEvent {
  orgId: string;
  actor: AuditActor;
  action: AuditAction;
  /** What was changed: its noun and its id, `{ type: "agent", id: "agent_…" }`. */
  target: { type: string; id: string };
  /**
   * What is so from now on: ids, numbers, and words of Graphyn's own. Never a secret, a name, a title or anything else that somebody
   * wrote; of such fields say only which were changed: `{ changed: ["title"] }`. Fields that are undefined are left out.
   */
  change?: Record<string, Json | undefined>;
}

/**
 * Writes into the organization's audit log, in the transaction of the change itself: both are there or neither is. Call it last: it
 * takes the lock on the end of the organization's chain, which is behind all other locks and held until the commit. In a write with an
 * Idempotency-Key call it inside `runOnce`, so that a repetition is not told twice.
 */
export async function appendAudit(tx: Tx, event: AuditEvent): Promise<void> {
  const { orgId, actor, action, target } = event;
  const change = changeText(event.change ?? {});
  const key = signingKey();
  const head = await tx.queryRow<{ seq: number; hash: string; at: Date }>`select seq, hash, at from lock_audit_head()`;
  if (!head) throw new Error("the audit log has no end");
  if (Number(head.seq) === 0 && !FIRST_ACTIONS.has(action)) {
    await appendAudit(tx, { orgId, actor: SYSTEM, action: "audit.began", target: { type: "organization", id: orgId } });
    return appendAudit(tx, event);
  }
  const row = {
    seq: Number(head.seq) + 1,
    at: head.at,
    actor_kind: actor.kind,
    actor_id: actor.id,
    actor_user: actor.user ?? null,
    action,
    target_type: target.type,
    target_id: target.id,
    change,
    prev_hash: head.hash,
  };
  const hash = hashOf(key, orgId, row);
  const seal = sealOf(key, orgId, { seq: row.seq, hash });
  await tx.exec`
    select append_audit(${row.seq}::bigint, ${row.at}::timestamptz, ${row.actor_kind}, ${row.actor_id}, ${row.actor_user}::text, ${row.action},
      ${row.target_type}, ${row.target_id}, ${row.change}, ${row.prev_hash}, ${hash}, ${key.id}, ${seal})`;
}

/** Who is calling, as the log names them: the key, and the person it acts for. */
export function actorOf({ userID, keyID }: { userID: string; keyID?: string | null }): AuditActor {
  return keyID ? { kind: "key", id: keyID, user: userID } : { kind: "user", id: userID };
}

/** Ids, names of fields and the like: no spaces, so no sentence of anybody's. */
const WORD = /^[\w.:/*+-]{0,200}$/;
const CHANGE_CHARS_MAX = 20_000;

function changeText(change: Record<string, Json | undefined>): string {
  const said = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as {
    [field: string]: Json;
  };
  refuseText(said);
  const text = canonicalJson(said);
  if (text.length > CHANGE_CHARS_MAX) throw new Error("an audit entry's change is too long: say less of it");
  return text;
}

/** A mistake of ours, found in tests and not by a reader of the log. */
function refuseText(value: Json): void {
  if (typeof value === "string" && !WORD.test(value)) {
    throw new Error("an audit entry's change holds a text: say ids, numbers and words of our own only");
  }
  if (typeof value === "object" && value !== null) for (const inner of Object.values(value)) refuseText(inner);
}
