import { setTimeout as sleep } from "node:timers/promises";
import { ErrCode } from "encore.dev/api";
import { tenant } from "../db/tenant";
import { problem } from "../lib/errors";
import { keepAnswer, type Once, runOnce } from "../lib/idempotency";
import type { VersionRow } from "./agent";
import { type Intent, readIntent, type Wanted, writeIntent } from "./intent";

/** How long a repeated request waits for the first one, which takes Letta a second or two. */
const FIRST_MS_MAX = 20_000;
const LOOK_MS = 200;

/** An intent to carry out, or the version that an earlier request with the same key has made. */
export type Begun = { intent: Intent } | { made: VersionRow };

/**
 * Writes the intent of a request, once for its idempotency key. The key remembers the intent, not an answer: a repeated request waits for
 * what becomes of it, in whichever process that happens, and begins anew when it has failed.
 */
export async function intendOnce(once: Once, wanted: Wanted): Promise<Begun> {
  const { orgId } = once;
  const until = performance.now() + FIRST_MS_MAX;
  for (;;) {
    const begun = await tenant(orgId, async (tx): Promise<Begun | null> => {
      const first = await runOnce(tx, once, () => writeIntent(tx, orgId, wanted));
      if (!first.replayed) return { intent: first.answer };
      const row = await readIntent(tx, orgId, first.answer.versionId);
      if (row?.state === "creating") return null;
      if (row?.state === "ready") {
        const { state: _, ...made } = row;
        return { made };
      }
      const intent = await writeIntent(tx, orgId, wanted);
      await keepAnswer(tx, once, intent);
      return { intent };
    });
    if (begun) return begun;
    if (performance.now() > until) throw stillRunning();
    await sleep(LOOK_MS);
  }
}

function stillRunning() {
  return problem(
    ErrCode.Aborted,
    "request_in_progress",
    "The first request with this Idempotency-Key is still being carried out.",
    "Repeat it in a few seconds, with the same key.",
    { context: null, retryable: true },
  );
}
