import log from "encore.dev/log";
import { tenant } from "../db/tenant";
import { stopping } from "../lib/stopping";
import { readEnds } from "../organizations/credential-end";
import { KEEP_MS, LOOK_MS } from "./limits";
import type { Member } from "./member";
import { keepTabs, lingerTabs } from "./presence";
import { membersByOrg, readRooms } from "./rooms";

/**
 * The slow look behind all hints: every LOOK_MS, one transaction for each organization with connections here. It keeps their presence alive,
 * ends those whose key, session or thread is no more, and shows who came and went without a word.
 */
/** Organizations looked after at the same time: most connections to the database stay for others. */
const LOOKS_AT_ONCE = 3;

let keptAt = Number.NEGATIVE_INFINITY;

async function lookOnce(): Promise<void> {
  const isKeeping = performance.now() - keptAt >= KEEP_MS;
  if (isKeeping) keptAt = performance.now();
  const waiting = [...membersByOrg()];
  const worker = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const [orgId, members] = next;
      try {
        await lookAt(orgId, members, isKeeping);
      } catch (error) {
        log.warn("looking after an organization's connections failed; the next look tries again", {
          org_id: orgId,
          error: String(error),
        });
      }
    }
  };
  await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, worker));
}

async function lookAt(orgId: string, members: Member[], isKeeping: boolean): Promise<void> {
  const threadIds = [...new Set(members.map(({ threadId }) => threadId))];
  const { endOf, threads, show } = await tenant(orgId, async (tx) => {
    if (isKeeping)
      await keepTabs(
        tx,
        orgId,
        members.filter(({ connection }) => connection.isOpen).map(({ seat }) => seat),
      );
    return {
      endOf: await readEnds(tx, orgId, members),
      threads: await tx.queryAll<{ id: string; state: "active" | "archived"; last_seq: number }>`
        select id, state, last_seq from threads where org_id = ${orgId} and id = any(${threadIds}::text[])`,
      show: await readRooms(tx, orgId),
    };
  });
  show();
  const byId = new Map(threads.map((thread) => [thread.id, thread]));
  for (const member of members) {
    const { threadId, seq, connection } = member;
    const thread = byId.get(threadId);
    const end = endOf(member);
    if (end) connection.bye(end);
    else if (!thread) connection.bye("thread_erased");
    // Only once it has been given all there is: it need not come back for the end.
    else if (thread.state === "archived" && seq >= thread.last_seq) connection.bye("thread_archived");
  }
}

async function lookForEver(): Promise<void> {
  await lookOnce();
  setTimeout(() => void lookForEver(), LOOK_MS).unref();
}
setTimeout(() => void lookForEver(), LOOK_MS).unref();

/** Says goodbye to everybody before the host closes the connections. */
stopping.addEventListener("abort", () => {
  for (const [orgId, members] of membersByOrg()) {
    for (const { connection } of members) connection.bye("shutdown");
    const ids = members.map(({ seat }) => seat.connectionId);
    void tenant(orgId, (tx) => lingerTabs(tx, orgId, ids)).catch(() => undefined); // then they expire by themselves
  }
});
