import { randomBytes } from "node:crypto";
import pg from "pg";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { isSigned } from "../../erasure/sign";
import { adminQuery } from "../harness/database";
import {
  type Context,
  newAgent,
  newOrganization,
  newPerson,
  newThread,
  ok,
  type Problem,
  request,
  type TestOrganization,
} from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { openStream } from "../harness/stream";
import { wherePlanted } from "./planted";

const graphyn = inject("graphyn");
const ERASED_MS_MAX = 40_000;

interface ErasureView {
  id: string;
  subject: string;
  state: "running" | "done";
  step: string;
  counts: Record<string, number>;
  receipt: string | null;
  signature: string | null;
}
interface Begun {
  id: string;
  receipt_token: string;
}
interface Message {
  seq: number;
  sender_name: string;
  sender_type: string;
  sender_id: string;
  content: string;
  status: string;
}

/** A word that stands nowhere else. */
const newWord = () => `planted${randomBytes(6).toString("hex")}`;

async function erased(org: TestOrganization, { id, receipt_token }: Begun, ms = ERASED_MS_MAX): Promise<ErasureView> {
  const until = Date.now() + ms;
  for (;;) {
    const view = await ok(
      request<ErasureView>(org.url, "GET", "/erasure-receipt", undefined, { "x-receipt-token": receipt_token }),
    );
    if (view.state === "done") return view;
    if (Date.now() > until) throw new Error(`erasure ${id} is still at ${view.step}: ${JSON.stringify(view.counts)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function say(org: TestOrganization, thread: string, content: string, sender_id?: string): Promise<void> {
  const { turns } = await ok(
    org.call<{ turns: { id: string }[] }>("POST", `/threads/${thread}/messages`, { content, sender_id }),
  );
  await answered(org, thread, turns.length);
}

async function answered(org: TestOrganization, thread: string, turns: number): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const { context } = await ok(org.call<{ context: Context }>("GET", `/threads/${thread}`));
    if (context.running_turns.length === 0 || turns === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the agents are still answering");
}

const messagesOf = async (org: TestOrganization, thread: string) =>
  (await ok(org.call<{ messages: Message[] }>("GET", `/threads/${thread}/messages?limit=200`))).messages;

/** A person whose word is wherever a person's words go. */
async function wordy(server: { url: string } = graphyn) {
  const word = newWord();
  const org = await newOrganization({ ...graphyn, url: server.url }, `Company ${word}org`);
  const person = await newPerson(org, `Ana ${word}`);
  const echo = await newAgent(org, "Echo", "openai-proxy/dev-echo");
  const noter = await ok(
    org.call<{ agent_id: string }>("POST", "/agents", {
      name: "Noter",
      system_prompt: "You take notes.",
      model: "openai-proxy/dev-tool",
      tools: ["memory_insert", "archival_memory_insert"],
    }),
  );
  const thread = await newThread(org, [echo], [person]);
  const notes = await newThread(org, [noter.agent_id], [person]);
  await ok(org.call("PATCH", `/threads/${thread}`, { title: "What the owner wants" }));
  await say(org, thread, `I am sure of ${word}.`, person);
  await say(org, thread, "And what do you say, without it?");
  await say(org, notes, `!tool memory_insert {"label": "knowledge", "new_string": "Ana likes ${word}"}`, person);
  await say(org, notes, `!tool archival_memory_insert {"content": "Ana likes ${word}"}`, person);
  const { thread: fork } = await ok(org.call<Context>("POST", `/threads/${thread}/fork`, {}));
  return { word, org, person, echo, noter: noter.agent_id, thread, notes, fork: fork.id };
}

/** A job of before that comes now finds no text, and stores nothing. */
async function nothingIsEmbeddedLate({ orgId }: TestOrganization): Promise<void> {
  const erased = "select id from messages where org_id = $1 and status = 'erased'";
  const [job] = await adminQuery<{ id: string }>(
    graphyn.adminUrl,
    `select max(id::text) as id from (
       select (graphile_worker.add_job('embed_message', json_build_object('org_id', $1::text, 'message_id', id))).id from (${erased}) m) j`,
    [orgId],
  );
  expect(job?.id).toBeTruthy();
  const waiting = () =>
    adminQuery(
      graphyn.adminUrl,
      `select j.id from graphile_worker._private_jobs j where j.payload ->> 'org_id' = $1 and j.payload ->> 'message_id' in (${erased})`,
      [orgId],
    );
  await expect.poll(waiting, { timeout: 20_000 }).toEqual([]);
  const embedded = `select message_id from message_embeddings where org_id = $1 and message_id in (${erased})`;
  expect(await adminQuery(graphyn.adminUrl, embedded, [orgId])).toEqual([]);
}

describe("erasing a person", () => {
  it("leaves no word of theirs in any table, here or in Letta, and a signed receipt that counts what went (SEC-6)", async () => {
    const { word, org, person, thread, fork, echo, noter } = await wordy();
    const planted = await wherePlanted(word);
    for (const place of [
      "messages",
      "participants",
      "users",
      "thread_log",
      "interaction_captures",
      "idempotency_keys",
    ]) {
      if (place !== "idempotency_keys") expect(planted).toContain(`graphyn:public.${place}`);
    }
    expect(planted).toEqual(expect.arrayContaining(["letta:public.messages", "letta:public.block"]));
    const before = await messagesOf(org, thread);

    const begun = await ok(org.call<Begun>("POST", "/erasure", { person_id: person }));
    const { receipt, signature, counts } = await erased(org, begun);
    // The organization's own name has a longer word in it; nothing of the person's is left.
    const left = (await wherePlanted(word)).filter((place) => place !== "graphyn:public.organizations");
    expect(left).toEqual([]);

    const after = await messagesOf(org, thread);
    expect(after.map(({ seq }) => seq)).toEqual(before.map(({ seq }) => seq));
    const mine = after.filter(({ sender_id }) => sender_id === person);
    expect(mine.length).toBeGreaterThan(0);
    for (const message of mine) {
      expect(message).toMatchObject({ content: "", status: "erased", sender_name: "Erased person" });
    }
    expect(after.filter(({ content }) => content.includes("without it?"))).not.toEqual([]);
    expect((await messagesOf(org, fork)).filter(({ status }) => status === "erased").length).toBeGreaterThan(0);

    expect(counts).toMatchObject({ members: 1, messages: 4, agents_to_relearn: 2 });
    expect(counts.answers).toBeGreaterThanOrEqual(3);
    expect(counts.letta_agents).toBeGreaterThanOrEqual(2);
    expect(counts.copies).toBeGreaterThanOrEqual(1);
    const key = await ok(request<{ public_key: string }>(org.url, "GET", "/erasure-receipt/public-key"));
    expect(isSigned(receipt ?? "", signature ?? "", key.public_key)).toBe(true);
    expect(isSigned(`${receipt} `, signature ?? "", key.public_key)).toBe(false);
    expect(JSON.parse(receipt ?? "")).toMatchObject({ subject: "person", person_id: person, counts });
    const marked = await adminQuery<{ id: string }>(
      graphyn.adminUrl,
      "select id from agents where org_id = $1 and relearn_at is not null order by id",
      [org.orgId],
    );
    expect(marked.map(({ id }) => id)).toEqual([echo, noter].sort());
    expect(await ok(org.call("GET", "/audit/verify"))).toMatchObject({ intact: true });
  });

  it("shows the erased text to no reader, however late, and the agents answer on from what is left (SEC-6)", async () => {
    const { word, org, person, thread } = await wordy();
    const reader = await openStream(org, thread);
    const cursor = reader.received[0]?.id;
    await reader.close();
    await erased(org, await ok(org.call<Begun>("POST", "/erasure", { person_id: person })));
    for (const from of [undefined, cursor]) {
      const late = await openStream(org, thread, from);
      expect(JSON.stringify(late.received)).not.toContain(word);
      await late.close();
    }
    expect(JSON.stringify((await org.call("GET", `/search?q=${word}`)).body)).not.toContain(`${word}.`);
    await nothingIsEmbeddedLate(org);
    await say(org, thread, "Do you go on?");
    const last = (await messagesOf(org, thread)).filter(({ sender_type }) => sender_type === "agent").at(-1);
    expect(last?.content).toContain("Do you go on?");
    expect(await ok(org.call("GET", "/letta/health"))).toMatchObject({ status: "ok" });
    const everywhere = (await wherePlanted(word)).filter((place) => place !== "graphyn:public.organizations");
    expect(everywhere).toEqual([]);
  });

  it("leaves nothing of what they write while their key is trusted yet (SEC-6)", async () => {
    const [org, word] = [await newOrganization(), newWord()];
    const { id } = await ok(org.call<{ id: string }>("POST", "/people", { name: "Ben", role: "owner" }));
    const { api_key } = await ok(org.call<{ api_key: string }>("POST", "/api-keys", { name: "Ben's", user_id: id }));
    const asBen = (path: string, body: object) =>
      request<Context>(org.url, "POST", path, body, { authorization: `Bearer ${api_key}` });
    const { thread } = await ok(asBen("/threads", { title: "Before" }));
    const begun = await ok(org.call<Begun>("POST", "/erasure", { person_id: id }));
    // Every process knows the key for a moment: what gets through is erased as well.
    const late = await asBen("/threads", { title: `Late ${word}` });
    await asBen(`/threads/${thread.id}/messages`, { content: `Late ${word}` });
    if (late.status === 200) await asBen(`/threads/${late.body.thread.id}/messages`, { content: `Later ${word}` });
    await erased(org, begun);
    expect(await wherePlanted(word)).toEqual([]);
  });

  it("refuses who is not there, who is the last owner, whom nobody named, and a second time at once (SEC-6)", async () => {
    const org = await newOrganization();
    const reason = async (body: object) => (await org.call<Problem>("POST", "/erasure", body)).body.details.reason;
    expect(await reason({})).toBe("erasure_of_whom");
    expect(await reason({ person_id: "user_01h455vb4pex5vsknk084sn02q" })).toBe("person_not_found");
    expect(await reason({ person_id: org.userId })).toBe("last_owner");
    expect(await reason({ organization: true, confirm: "Another" })).toBe("erasure_not_confirmed");
    expect((await org.call<Problem>("GET", "/erasure/erasure_01h455vb4pex5vsknk084sn02q")).body.details.reason).toBe(
      "erasure_not_found",
    );
    const stranger = { "x-receipt-token": `gr_${org.orgId.slice(4)}_${"0".repeat(64)}` };
    expect((await request(graphyn.url, "GET", "/erasure-receipt", undefined, stranger)).status).toBe(404);
  });
});

describe("erasing an organization", () => {
  it("leaves no word of it anywhere, but its receipt for whoever has the token (SEC-6)", async () => {
    const { word, org } = await wordy();
    await newAgent(org, `Agent ${word}`, "openai-proxy/dev-echo", `You know ${word}.`);
    const name = `Company ${word}org`;
    const begun = await ok(org.call<Begun>("POST", "/erasure", { organization: true, confirm: name }));
    const { receipt, counts } = await erased(org, begun);
    expect(await wherePlanted(word)).toEqual([]);
    expect(counts).toMatchObject({ organizations: 1, threads: 3, agents: 3, letta_identities: 1 });
    expect(counts.audit_entries).toBeGreaterThan(5);
    expect(JSON.parse(receipt ?? "")).toMatchObject({ subject: "organization", person_id: null });
    const left = await wherePlanted(org.orgId.slice("org_".length));
    expect(left.filter((place) => place.startsWith("graphyn:public."))).toEqual(["graphyn:public.erasures"]);
  });
});

describe("an erasure whose process is killed", () => {
  it.each(["stop", "words", "memory", "rest"])(
    "at the step %s is ended by another process (SEC-6)",
    async (step) => {
      let server: Server | null = await startServer({
        databaseUrl: graphyn.databaseUrl,
        adminKey: graphyn.adminKey,
      });
      try {
        const { word, org, person } = await wordy(server);
        const begun = await ok(org.call<Begun>("POST", "/erasure", { person_id: person }));
        for (;;) {
          const [row] = await adminQuery<{ step: string; state: string }>(
            graphyn.adminUrl,
            "select step, state from erasures where org_id = $1",
            [org.orgId],
          );
          if (row?.state === "done" || row?.step === step) break;
        }
        await server.stop("SIGKILL");
        server = null;
        const view = await erased({ ...org, url: graphyn.url }, begun, 90_000);
        expect(view.counts).toMatchObject({ members: 1, messages: 4, agents_to_relearn: 2 });
        const left = (await wherePlanted(word)).filter((place) => place !== "graphyn:public.organizations");
        expect(left).toEqual([]);
      } finally {
        await server?.stop();
      }
    },
    150_000,
  );
});

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
