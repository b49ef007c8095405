import { dispatch, tenant } from "../../db/tenant";
import { holdThread } from "../hold-thread";
import { tell } from "../live/fanout/tell";
import { PROCESS_ID } from "./lease";
import type { TurnToRun } from "./run-turn";
import { releaseJoined } from "./steer";
import { statesFor } from "./turn-state";

/** What a process that is told to end gives back, so that others need not wait until its leases have run out. */

/** Queued turns leased to this process, without those in `except`: whoever is told first takes them up. */
export async function letQueuedGo(except: string[]): Promise<void> {
  const freed = await dispatch(
    (tx) => tx.queryAll<{ org_id: string; thread_id: string }>`
      update turns set lease_until = now()
      where (org_id, id) in (
        select org_id, id from turns
        where lease_owner = ${PROCESS_ID} and state = 'queued' and lease_until > now() and not id = any(${except}::text[])
        for no key update skip locked)
      returning org_id, thread_id`,
  );
  for (const { org_id, thread_id } of freed) tell(org_id, thread_id, "turns");
}

/** A turn of this process that has said nothing: it is queued again, and free. */
export async function letGo({
  orgId,
  threadId,
  turnId,
}: Pick<TurnToRun, "orgId" | "threadId" | "turnId">): Promise<void> {
  await tenant(orgId, async (tx) => {
    await holdThread(tx, orgId, threadId);
    await tx.exec`
      update turns set state = 'queued', lease_until = now()
      where org_id = ${orgId} and id = ${turnId} and state = any(${statesFor("retry")}::text[]) and lease_owner = ${PROCESS_ID}`;
    await releaseJoined(tx, orgId, turnId);
  });
  tell(orgId, threadId, "turns");
}
