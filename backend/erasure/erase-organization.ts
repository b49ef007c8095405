import { type Tx, tenant } from "../db/tenant";
import { letta } from "../letta/client";
import { forgetOrg, forOrg } from "../letta/for-org";
import { loadTenant } from "../letta/tenant";
import { LettaError } from "../lib/letta-client";
import { closeErased } from "../threads/live/channels";
import { rows } from "./erase-words";
import type { Step } from "./eraser";
import { count, countOnce, type Erasure, markDone } from "./erasure";
import { stopAnswers } from "./stop-answers";

/** Threads that one transaction deletes, with all that hangs on them. */
const THREADS_MAX = 100;
/** What stands among what the step in Letta has done when nothing is left there but the organization's user. */
const EMPTIED = "letta";

/** The steps by which an organization is erased. Its keys and members went with the request itself (request-erasure.ts). */
export function eraseOrganization(): Step[] {
  return [
    { name: "stop", run: (erasure) => stopAnswers(erasure, null) },
    { name: "letta", run: eraseInLetta },
    { name: "database", run: eraseInDatabase },
  ];
}

/** Everything the organization has in Letta: all there is in its Letta organization, whether or not a row here knows of it. */
async function eraseInLetta(erasure: Erasure): Promise<void> {
  const { org_id: orgId } = erasure;
  const place = await loadTenant(orgId);
  if (!place?.ready_at || !place.letta_user_id || !place.letta_org_id) return; // nothing was ever made there
  const { letta_user_id: userId, letta_org_id: lettaOrgId } = place;
  if (!erasure.done.includes(EMPTIED)) {
    await emptyInLetta(erasure);
    // From here on nobody asks in the name of its user there, who may be gone.
    await tenant(orgId, (tx) => markDone(tx, erasure, EMPTIED));
  }
  // Its user and organization there have nothing but the organization's id in their name; Letta keeps them where its own records of runs
  // still point to them.
  // One after the other, and the second not begun before: a promise that fails while nobody waits for it ends the process.
  for (const removeShell of [
    () => letta().admin.deleteUser(userId),
    () => letta().admin.deleteOrganization(lettaOrgId),
  ]) {
    await removeShell().catch((error: unknown) => {
      if (!(error instanceof LettaError)) throw error;
    });
  }
  forgetOrg(orgId);
}

async function emptyInLetta(erasure: Erasure): Promise<void> {
  const org = await forOrg(erasure.org_id);
  const remove = async (kind: string, id: string, deleting: () => Promise<void>) => {
    await tenant(erasure.org_id, (tx) => countOnce(tx, erasure, kind, id));
    await deleting().catch((error: unknown) => {
      if (!(error instanceof LettaError && error.kind === "not_found")) throw error;
    });
  };
  for await (const { id } of org.agents.list()) await remove("letta_agents", id, () => org.agents.delete(id));
  for await (const { id } of org.blocks.list({ tags: [] }))
    await remove("letta_blocks", id, () => org.blocks.delete(id));
  for (const id of await org.archives.named()) await remove("letta_archives", id, () => org.archives.delete(id));
  const identity = await org.identity.find();
  if (identity !== null) await remove("letta_identities", identity, () => org.identity.delete(identity));
}

async function eraseInDatabase(erasure: Erasure): Promise<void> {
  const { org_id: orgId } = erasure;
  for (;;) {
    const gone = await tenant(orgId, async (tx) => {
      const threads = await tx.queryAll<{ id: string }>`
        select id from threads where org_id = ${orgId} order by id limit ${THREADS_MAX} for update`;
      const ids = threads.map(({ id }) => id);
      if (ids.length === 0) return ids;
      const messages = await tx.queryRow<{ messages: number; embeddings: number; captures: number }>`
        select
          (select count(*)::int from messages where org_id = ${orgId} and thread_id = any(${ids}::text[])) as messages,
          (select count(*)::int from message_embeddings e join messages m on (m.org_id, m.id) = (e.org_id, e.message_id)
            where m.org_id = ${orgId} and m.thread_id = any(${ids}::text[])) as embeddings,
          (select count(*)::int from interaction_captures where org_id = ${orgId} and thread_id = any(${ids}::text[])) as captures`;
      const conversations = await rows(
        tx,
        "delete from agent_conversations where org_id = $1 and thread_id = any($2::text[])",
        [orgId, ids],
      );
      await tx.exec`delete from threads where org_id = ${orgId} and id = any(${ids}::text[])`;
      await count(tx, erasure, { threads: ids.length, letta_conversations: conversations, ...messages });
      return ids;
    });
    for (const id of gone) closeErased(orgId, id);
    if (gone.length === 0) break;
  }
  await tenant(orgId, async (tx) => {
    const left = await tx.queryRow<{ people: number; agents: number; agent_versions: number }>`
      select (select count(*)::int from users where org_id = ${orgId}) as people,
        (select count(*)::int from agents where org_id = ${orgId}) as agents,
        (select count(*)::int from agent_versions where org_id = ${orgId}) as agent_versions`;
    for (const table of await tablesOf(tx)) await tx.rawExec(`delete from ${table} where org_id = $1`, orgId);
    const audit = await tx.queryRow<{ n: number }>`select erase_audit()::int as n`;
    const organizations = await rows(tx, "delete from organizations where org_id = $1", [orgId]);
    await count(tx, erasure, { ...left, audit_entries: audit?.n ?? 0, organizations });
  });
}

/**
 * All tables of an organization that a tenant may delete from, each before those it refers to: asked of the catalog, so that no table of
 * later is forgotten. The organization's own row, which comes last, takes the others along.
 */
async function tablesOf(tx: Tx): Promise<string[]> {
  const found = await tx.queryAll<{ name: string; refers_to: string[] }>`
    select c.relname::text as name, array(
      select distinct confrelid::regclass::text from pg_constraint f
      where f.contype = 'f' and f.conrelid = c.oid and f.confrelid <> c.oid and not f.condeferrable) as refers_to
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and has_table_privilege(c.oid, 'delete')
      and c.relname not in ('organizations', 'erasures')
    order by 1`;
  const waiting = new Map(found.map(({ name, refers_to }) => [name, refers_to]));
  const sorted: string[] = [];
  while (waiting.size > 0) {
    const referred = new Set([...waiting.values()].flat());
    const free = [...waiting.keys()].filter((name) => !referred.has(name));
    if (free.length === 0) throw new Error("tables refer to each other in a circle");
    for (const name of free) waiting.delete(name);
    sorted.push(...free);
  }
  return sorted;
}
