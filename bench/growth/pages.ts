/** Pages that an operation's queries touch: what Graphyn asked is heard in front of the database, and explained as it was asked. */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { explainTransaction } from "../../backend/__tests__/harness/query-plans";
import type { QueryTap, Transaction } from "../../backend/__tests__/harness/query-tap";
import type { Api } from "../lib/http";
import type { Operation, Place } from "./operations";

export interface Pages {
  pages: number;
  queries: number;
}

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
  databaseUrl: string,
): Promise<Pages & { perEntry: boolean }> {
  await operation.ask(api, place);
  await sleep(AFTER_MS);
  tap.taken();
  const entries = await operation.ask(api, place);
  await sleep(AFTER_MS);
  const mine = tap
    .taken()
    .filter(([first]) => first?.values.includes(place.organization.id) && isTenants(first.values));
  const { pages, queries } = await explainAll(databaseUrl, mine);
  return { pages: pages / (entries ?? 1), queries, perEntry: entries !== undefined };
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
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    let [pages, queries] = [0, 0];
    for (const transaction of transactions) {
      for (const { sql, pages: touched } of await explainTransaction(client, transaction.map(again), {
        inOrder: true,
      })) {
        if (touched === null) throw new Error(`could not be run again: ${sql}`);
        pages += touched;
        queries++;
      }
    }
    return { pages, queries };
  } finally {
    await client.end();
  }
}

/** What was stored is stored again under another id. */
function again({ sql, values }: Transaction[number]): Transaction[number] {
  if (!/\binsert into (messages|model_calls)\b/.test(sql)) return { sql, values };
  return { sql, values: values.map((value) => value?.replace(NEW_ID, (id) => `${id.slice(0, -6)}zzzzzz`) ?? null) };
}
