import { randomBytes } from "node:crypto";
import pg from "pg";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newAgent, newThread, ok } from "../harness/organization";
import { startServer } from "../harness/server";
import { openStream } from "../harness/stream";
import { type Begun, ERASED_MS_MAX, type ErasureView, erased, leaseRunsOut, wordy } from "./erased";
import { wherePlanted } from "./planted";

const graphyn = inject("graphyn");

/** Where the process that erases an organization is killed: at the moment at which it would store this. */
const ORGANIZATION_KILLS = [
  { name: "when an answer was stopped", at: "new.step = 'letta' and old.step = 'stop'" },
  { name: "with one of its agents gone in Letta", at: "(new.counts ->> 'letta_agents') = '2'" },
  { name: "with Letta empty", at: "new.step = 'database' and old.step = 'letta'" },
  { name: "with its threads gone", at: "new.counts ? 'organizations'" },
  { name: "with nothing left but the receipt", at: "new.state = 'done'" },
];

describe("an erasure of an organization whose process is killed", () => {
  /** An organization as all of these have it, with an agent in the middle of an answer. */
  async function talking(server: { url: string }) {
    const made = await wordy(server);
    const speaker = await newAgent(made.org, "Speaker", "openai-proxy/dev-n600-r20");
    const thread = await newThread(made.org, [speaker]);
    const stream = await openStream(made.org, thread);
    await ok(made.org.call("POST", `/threads/${thread}/messages`, { content: "Talk for long." }));
    await stream.until((received) => received.some(({ event }) => event.type === "ai_chunk"));
    await stream.close();
    const confirm = `Company ${made.word}org`;
    return { ...made, begin: () => ok(made.org.call<Begun>("POST", "/erasure", { organization: true, confirm })) };
  }
  /** Embeddings are made by jobs, which may not have come to all. */
  const figures = ({ counts: { embeddings: _, ...counts } }: ErasureView) => counts;

  let whole: Record<string, number>;
  beforeAll(async () => {
    const { org, begin } = await talking(graphyn);
    whole = figures(await erased(org, await begin()));
  }, 120_000);

  /** Holds whoever stores what `at` says, until `release`. */
  async function hold(orgId: string, at: string) {
    const name = `hold_${orgId.slice(-12)}`;
    const key = Number.parseInt(randomBytes(5).toString("hex"), 16);
    await adminQuery(
      graphyn.adminUrl,
      `create function ${name}() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(${key}); return new; end $$`,
    );
    await adminQuery(
      graphyn.adminUrl,
      `create trigger ${name} before update on erasures for each row when (new.org_id = '${orgId}' and ${at}) execute function ${name}()`,
    );
    const holder = new pg.Client({ connectionString: graphyn.adminUrl });
    await holder.connect();
    await holder.query("select pg_advisory_lock($1)", [key]);
    return {
      async reached() {
        const waiting =
          "select 1 from pg_locks where locktype = 'advisory' and not granted and objid = $1 & 4294967295";
        await expect
          .poll(() => adminQuery(graphyn.adminUrl, waiting, [key]), { timeout: ERASED_MS_MAX, interval: 50 })
          .toHaveLength(1);
      },
      async release() {
        await holder.end();
        await adminQuery(graphyn.adminUrl, `drop trigger if exists ${name} on erasures`);
        await adminQuery(graphyn.adminUrl, `drop function if exists ${name}()`);
      },
    };
  }

  it.each(ORGANIZATION_KILLS)(
    "$name, is ended by another process, and its receipt counts everything once (SEC-6)",
    async ({ at }) => {
      const server = await startServer({ databaseUrl: graphyn.databaseUrl, adminKey: graphyn.adminKey });
      let held: Awaited<ReturnType<typeof hold>> | null = null;
      try {
        const { word, org, begin } = await talking(server);
        held = await hold(org.orgId, at);
        const begun = await begin();
        await held.reached();
        await server.stop("SIGKILL");
        await held.release();
        held = null;
        // Of the first the lease runs out by itself.
        if (at !== ORGANIZATION_KILLS[0]?.at) await leaseRunsOut(org.orgId);
        const view = await erased({ ...org, url: graphyn.url }, begun, 90_000);
        expect(figures(view)).toEqual(whole);
        expect(await wherePlanted(word)).toEqual([]);
      } finally {
        await held?.release();
        await server.stop();
      }
    },
    180_000,
  );
});
