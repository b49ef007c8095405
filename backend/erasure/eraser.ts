import log from "encore.dev/log";
import { dispatch, type Tx, tenant } from "../db/tenant";
import { PROCESS_ID } from "../threads/turns/lease";
import { eraseOrganization } from "./erase-organization";
import { erasePerson } from "./erase-person";
import { type Erasure, LEASE, readErasure, takeErasure } from "./erasure";
import { writeReceipt } from "./receipt";

/** How often erasures are looked for that nobody works on: those of a process that died, and those that failed. */
const LOOK_MS = 2_000;
const HEARTBEAT_MS = 5_000;
/** Erasures begun in one look. */
const TAKEN_MAX = 5;
/** The wait after a failure doubles up to this. */
const RETRY_SECONDS_MAX = 60;

/** One step of an erasure: safe to be done again, by another process, from any point of it. */
export interface Step {
  name: string;
  run(erasure: Erasure): Promise<void>;
}

let timer: NodeJS.Timeout | undefined;

/** Works on erasures in this process, soon and then regularly. Several processes may: a lease says whose each one is. */
export function startEraser(): void {
  if (timer !== undefined) return;
  const look = () => {
    eraseAll()
      .catch((error: unknown) =>
        log.warn("erasures could not be looked for; it is tried again", { error: kindOf(error) }),
      )
      .finally(() => {
        timer = setTimeout(look, LOOK_MS).unref();
      });
  };
  timer = setTimeout(look, LOOK_MS).unref();
}

async function eraseAll(): Promise<void> {
  const waiting = await dispatch(
    (tx) => tx.queryAll<{ org_id: string; id: string }>`
      select org_id, id from erasures where state = 'running' and lease_until < now() limit ${TAKEN_MAX}`,
  );
  await Promise.all(waiting.map(({ org_id, id }) => work(org_id, id)));
}

/** Carries an erasure out, or as much as goes. Never throws. */
export async function work(orgId: string, id: string): Promise<void> {
  const heartbeat = setInterval(() => void prolong(orgId, id).catch(() => undefined), HEARTBEAT_MS).unref();
  let attempt = 0;
  try {
    const taken = await tenant(orgId, (tx) => takeErasure(tx, orgId, id));
    if (!taken) return;
    attempt = taken.attempt;
    for (let erasure: Erasure | null = taken; erasure?.state === "running"; ) {
      await step(erasure);
      erasure = await tenant(orgId, (tx) => readErasure(tx, orgId, id));
    }
  } catch (error) {
    log.warn("an erasure stopped half way; it goes on from there", {
      org_id: orgId,
      erasure_id: id,
      attempt,
      error: kindOf(error),
    });
    const seconds = Math.min(RETRY_SECONDS_MAX, 2 ** attempt);
    await tenant(
      orgId,
      (tx) => tx.exec`
        update erasures set lease_until = now() + make_interval(secs => ${seconds}) where org_id = ${orgId} and id = ${id} and state = 'running'`,
    ).catch(() => undefined);
  } finally {
    clearInterval(heartbeat);
  }
}

async function step(erasure: Erasure): Promise<void> {
  const { person_id } = erasure;
  const steps = person_id === null ? eraseOrganization() : erasePerson(person_id);
  const index = steps.findIndex(({ name }) => name === erasure.step);
  const now = steps[index];
  if (!now) throw new Error(`an erasure has no step ${erasure.step}`);
  await now.run(erasure);
  const next = steps[index + 1];
  await tenant(erasure.org_id, (tx) => (next ? advance(tx, erasure, next.name) : writeReceipt(tx, erasure)));
}

async function advance(tx: Tx, { org_id, id, step: from }: Erasure, to: string): Promise<void> {
  await tx.exec`
    update erasures set step = ${to}, done = '{}', attempt = 0 where org_id = ${org_id} and id = ${id} and step = ${from}`;
}

async function prolong(orgId: string, id: string): Promise<void> {
  await tenant(
    orgId,
    (tx) => tx.exec`
      update erasures set lease_until = now() + ${LEASE}::text::interval
      where org_id = ${orgId} and id = ${id} and lease_owner = ${PROCESS_ID} and state = 'running'`,
  );
}

/** What went wrong, without anybody's words. */
function kindOf(error: unknown): string {
  return error instanceof Error ? `${error.name}${"kind" in error ? ` ${error.kind}` : ""}` : "unknown";
}
