import type { Tx } from "../db/tenant";

/** Embeddings that are compared one by one, each some 5 µs: all of a small organization or thread, and the newest of a larger one. */
const COMPARED_MAX = 500;
/** Neighbours that the index is read for where most are of somebody else: of other organizations, or of other threads. */
const SCANNED_FOR_ORG_MAX = 20_000;
const SCANNED_FOR_THREAD_MAX = 2_000;

interface Near {
  id: string;
  distance: number;
}

/**
 * Ids of the messages nearest to a vector in meaning, nearest first, at most `count`: of the organization, or of one thread. What is read has a
 * bound, however much there is. Little is compared whole and exactly. A large organization is searched by the HNSW index, which knows no
 * organizations and is read on until enough rows of this one are found (pgvector 0.8, iterative scan); should too few come, its newest
 * are compared too. Of a long thread the newest are compared, and of the older ones those are found that are among the nearest of all.
 */
export async function nearestTo(
  tx: Tx,
  orgId: string,
  threadId: string | null,
  vector: string,
  count: number,
): Promise<string[]> {
  const near =
    threadId === null
      ? await inOrganization(tx, orgId, vector, count)
      : await inThread(tx, orgId, threadId, vector, count);
  const distances = new Map(near.map(({ id, distance }) => [id, distance]));
  return [...distances]
    .filter(([, distance]) => distance < 1) // nothing in common
    .sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
    .slice(0, count)
    .map(([id]) => id);
}

async function inOrganization(tx: Tx, orgId: string, vector: string, count: number): Promise<Near[]> {
  const there = await tx.queryRow<{ count: number }>`
    select count(*)::int as count from (
      select from message_embeddings where org_id = ${orgId} order by message_id limit ${COMPARED_MAX + 1}) counted`;
  const isLarge = (there?.count ?? 0) > COMPARED_MAX;
  const indexed = isLarge
    ? await byIndex(
        tx,
        SCANNED_FOR_ORG_MAX,
        () => tx.queryAll<Near>`
          select message_id as id, embedding <=> ${vector}::text::vector as distance from message_embeddings
          where org_id = ${orgId} order by embedding <=> ${vector}::text::vector limit ${count}`,
      )
    : [];
  if (indexed.length >= count) return indexed;
  const newest = await tx.queryAll<Near>`
    select e.message_id as id, e.embedding <=> ${vector}::text::vector as distance
    from (select id from messages where org_id = ${orgId} order by id desc limit ${COMPARED_MAX}) m
      cross join lateral (
        select message_id, embedding from message_embeddings where org_id = ${orgId} and message_id = m.id limit 1) e`;
  return [...indexed, ...newest];
}

async function inThread(tx: Tx, orgId: string, threadId: string, vector: string, count: number): Promise<Near[]> {
  const newest = await tx.queryAll<Near | { id: null; distance: null }>`
    select e.message_id as id, e.embedding <=> ${vector}::text::vector as distance
    from (select id from messages where org_id = ${orgId} and thread_id = ${threadId} order by seq desc limit ${COMPARED_MAX}) m
      left join lateral (
        select message_id, embedding from message_embeddings where org_id = ${orgId} and message_id = m.id limit 1) e on true`;
  const isLong = newest.length === COMPARED_MAX;
  const indexed = isLong
    ? await byIndex(
        tx,
        SCANNED_FOR_THREAD_MAX,
        () => tx.queryAll<Near>`
          select e.message_id as id, e.embedding <=> ${vector}::text::vector as distance
          from message_embeddings e cross join lateral (
            select from messages where org_id = ${orgId} and id = e.message_id and thread_id = ${threadId} limit 1) m
          where e.org_id = ${orgId} order by e.embedding <=> ${vector}::text::vector limit ${count}`,
      )
    : [];
  return [...indexed, ...newest.filter((row): row is Near => row.id !== null)];
}

/** Has a query ask the HNSW index: left to itself PostgreSQL sorts what an organization has, however much that is, when it takes it for little. */
async function byIndex<T>(tx: Tx, scannedMax: number, ask: () => Promise<T>): Promise<T> {
  await tx.exec`
    select set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.max_scan_tuples', ${String(scannedMax)}, true),
      set_config('enable_sort', 'off', true)`;
  const found = await ask();
  await tx.exec`select set_config('enable_sort', 'on', true)`;
  return found;
}
