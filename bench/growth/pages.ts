/** Pages that an operation's queries touch: what Graphyn asked is heard in front of the database, and explained as it was asked. */
import { setTimeout as sleep } from "node:timers/promises";
import { explainTransaction } from "../../backend/__tests__/harness/query-plans";
import type { QueryTap, Transaction } from "../../backend/__tests__/harness/query-tap";
import type { Api } from "../lib/http";
import { asClient } from "./fill";
import type { Operation, Place } from "./operations";

export interface Pages {
  pages: number;
  queries: number;
  /** The queries that touch most, most first. */
  heaviest: { sql: string; pages: number }[];
}

const HEAVIEST = 3;
const SQL_CHARS = 160;

/** Longer than anything that a process asks by itself waits in between. */
const IDLE_MS = 6_000;
/** The queries of a request are all there when it is answered; those of a stream's other end a little later. */
const AFTER_MS = 50;
/** Ids that a request makes. */
const NEW_ID = /\b(msg|call)_[0-9a-hjkmnp-tv-z]{26}/g;

/** Of one request: all its queries, in their order, each seeing what those before it did. Asked before, so that nothing is the first time. */
export async function pagesOf(
  operation: Operation,
  api: Api,
  place: Place,
  tap: QueryTap,
  { url, adminUrl }: { url: string; adminUrl: string },
): Promise<Pages & { perEntry: boolean }> {
  const before = await operation.prepare(api, place);
  await before.ask();
  await before.over?.();
  const { ask, putBack, within, over } = await operation.prepare(api, place);
  await sleep(AFTER_MS);
  tap.taken();
  const entries = await ask();
  await sleep(AFTER_MS);
  const mine = tap
    .taken()
    .filter(([first]) => first?.values.includes(place.organization.id) && isTenants(first.values))
    .filter((transaction) => within === undefined || transaction.some(({ sql }) => within.test(sql)));
  if (mine.length === 0) throw new Error(`${operation.name}: none of its queries was heard`);
  const { pages, ...more } = await asClient(adminUrl, async (client) => {
    const asItWas = await putBack?.(client);
    try {
      return await explainAll(url, mine);
    } finally {
      await asItWas?.();
    }
  });
  await over?.();
  return { ...more, pages: pages / (entries ?? 1), perEntry: entries !== undefined };
}

/** Of what a process asks by itself when nobody wants anything of it, each query once. */
export async function pagesAtRest(tap: QueryTap, databaseUrl: string): Promise<Pages> {
  tap.taken();
  await sleep(IDLE_MS);
  const seen = new Set<string>();
  const once = tap
    .taken()
    .map((transaction) =>
      transaction.filter(({ sql }) => {
        if (/\bset_config\s*\(/i.test(sql)) return true;
        const isNew = !seen.has(sql);
        seen.add(sql);
        return isNew;
      }),
    )
    .filter((transaction) => transaction.length > 0);
  return explainAll(databaseUrl, once);
}

function isTenants(values: (string | null)[]): boolean {
  return values.includes("graphyn_tenant");
}

async function explainAll(databaseUrl: string, transactions: Transaction[]): Promise<Pages> {
  return asClient(databaseUrl, async (client) => {
    const all: Pages["heaviest"] = [];
    for (const transaction of transactions)
      for (const { sql, pages } of await explainTransaction(client, transaction.map(again), { inOrder: true })) {
        if (pages === null) throw new Error(`could not be run again: ${sql}`);
        all.push({ sql: sql.replace(/\s+/g, " ").trim().slice(0, SQL_CHARS), pages });
      }
    return {
      pages: all.reduce((sum, { pages }) => sum + pages, 0),
      queries: all.length,
      heaviest: all.toSorted((a, b) => b.pages - a.pages).slice(0, HEAVIEST),
    };
  });
}

/** What was stored is stored again under another id. */
function again({ sql, values }: Transaction[number]): Transaction[number] {
  if (!/\binsert into (messages|model_calls)\b/.test(sql)) return { sql, values };
  return { sql, values: values.map((value) => value?.replace(NEW_ID, (id) => `${id.slice(0, -6)}zzzzzz`) ?? null) };
}
