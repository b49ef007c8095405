import { createHash } from "node:crypto";
import { expect, inject } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import {
  type Context,
  newAgent,
  newOrganization,
  newPerson,
  newThread,
  ok,
  request,
  type TestOrganization,
} from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { ofType, openStream, turnsEnded } from "../harness/stream";

const SETTLED_MS_MAX = 60_000;

/** Another Graphyn, with a database of its own in which no organization is. */
export interface Elsewhere {
  server: Server;
  database: TestDatabase;
  adminKey: string;
  stop(): Promise<void>;
}

export async function startElsewhere(env: Record<string, string> = {}): Promise<Elsewhere> {
  const database = await createDatabase();
  const adminKey = "elsewhere-admin-key";
  const server = await startServer({ databaseUrl: database.url, adminKey, env: { ENCORE_NODE_DB_POOL: "6", ...env } });
  return {
    ...{ server, database, adminKey },
    async stop() {
      await server.stop();
      await database.drop();
    },
  };
}

export async function exportOf({ url, apiKey }: Pick<TestOrganization, "url" | "apiKey">): Promise<string> {
  const response = await fetch(`${url}/export`, { headers: { authorization: `Bearer ${apiKey}` } });
  const text = await response.text();
  expect([response.status, response.status === 200 ? "" : text]).toEqual([200, ""]);
  return text;
}

export interface Imported {
  status: number;
  replayed: string | null;
  body: {
    organization_id: string;
    user_id: string;
    api_key: string;
    counts: Record<string, number>;
    sha256: string;
    details?: { reason: string; line?: number; seq?: number; how?: string };
  };
}

export async function importInto(
  { server, adminKey }: Pick<Elsewhere, "server" | "adminKey">,
  archive: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Imported> {
  const response = await fetch(`${server.url}/organizations/import`, {
    method: "POST",
    headers: { "x-admin-key": adminKey, "content-type": "application/x-ndjson", ...headers },
    body: archive,
    signal: AbortSignal.timeout(60_000),
  });
  const body = (await response.json()) as Imported["body"];
  return { status: response.status, replayed: response.headers.get("idempotent-replayed"), body };
}

/** The imported organization, as its owner. */
export function importedOrganization({ server }: Elsewhere, { body }: Imported): TestOrganization {
  const { organization_id: orgId, user_id: userId, api_key: apiKey } = body;
  const call: TestOrganization["call"] = (method, path, sent, headers) =>
    request(server.url, method, path, sent, { authorization: `Bearer ${apiKey}`, ...headers });
  return { orgId, userId, apiKey, url: server.url, call };
}

/** Its lines, without line feeds. */
export const linesOf = (archive: string) => archive.trimEnd().split("\n");

export const rowsOf = (archive: string, table: string) =>
  linesOf(archive)
    .map((line) => JSON.parse(line) as { table?: string; row?: Record<string, unknown> })
    .flatMap((line) => (line.table === table && line.row ? [line.row] : []));

/** The lines as an archive whose end is right: what somebody makes who edits one by hand and knows how. */
export function forged(
  lines: string[],
  change: (end: { counts: Record<string, number>; audit: unknown }) => void = () => {},
): string {
  const { end } = JSON.parse(lines.at(-1) ?? "") as {
    end: { counts: Record<string, number>; audit: unknown; sha256: string };
  };
  const body = lines
    .slice(0, -1)
    .map((line) => `${line}\n`)
    .join("");
  for (const table of Object.keys(end.counts)) end.counts[table] = rowsOf(body, table).length;
  end.sha256 = createHash("sha256").update(body).digest("hex");
  change(end);
  return `${body}${JSON.stringify({ end })}\n`;
}

/** A line of an archive is canonical: its fields in order, at both levels that tests write. */
export function canonical(value: object): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** The lines with the first row of a table changed, or the one after `which` of them. */
export function edited(
  lines: string[],
  table: string,
  change: (row: Record<string, unknown>) => object,
  which = 0,
): string[] {
  let seen = 0;
  return lines.map((line) => {
    const value = JSON.parse(line) as { table?: string; row: Record<string, unknown> };
    if (value.table !== table || seen++ !== which) return line;
    return canonical({ row: change(value.row), table });
  });
}

/** How many rows each table has of an organization; none of those that have none. */
export async function rowsHere(adminUrl: string, orgId: string): Promise<Record<string, number>> {
  const tables = await adminQuery<{ name: string }>(
    adminUrl,
    `select c.relname::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1`,
  );
  const counts: Record<string, number> = {};
  for (const { name } of tables) {
    const [row] = await adminQuery<{ n: number }>(
      adminUrl,
      `select count(*)::int as n from "${name}" where org_id = $1`,
      [orgId],
    );
    if (row && row.n > 0) counts[name] = row.n;
  }
  return counts;
}

export async function say(org: TestOrganization, thread: string, content: string, more: object = {}): Promise<string> {
  const stream = await openStream(org, thread);
  const { message, turns } = await ok(
    org.call<{ message: { id: string }; turns: unknown[] }>("POST", `/threads/${thread}/messages`, {
      content,
      ...more,
    }),
  );
  if (turns.length > 0) await stream.until(turnsEnded(turns.length));
  await stream.close();
  return message.id;
}

export async function answersTo(org: TestOrganization, thread: string, content: string): Promise<string[]> {
  const stream = await openStream(org, thread);
  const { message: asked, turns } = await ok(
    org.call<{ message: { seq: number }; turns: unknown[] }>("POST", `/threads/${thread}/messages`, { content }),
  );
  const received = await stream.until(turnsEnded(turns.length), 60_000);
  await stream.close();
  return ofType(received, "message").flatMap(({ message }) => (message.seq > asked.seq ? [message.content] : []));
}

/** What models were asked with these words in it, newest last. */
export async function askedWith(contains: string): Promise<string[]> {
  const url = `${process.env.DEV_MODEL_URL}/debug/requests?limit=1000&contains=${encodeURIComponent(contains)}`;
  const { requests } = (await (await fetch(url)).json()) as { requests: { path: string; body: unknown }[] };
  // Not the embedding of the question, which a job asks for when it comes to it.
  return requests.filter(({ path }) => path.endsWith("/chat/completions")).map(({ body }) => JSON.stringify(body));
}

/** Waits until what a message brings with it in the background is done, and accounted: its embedding. */
export async function settled({ orgId }: TestOrganization, adminUrl: string): Promise<void> {
  const until = Date.now() + SETTLED_MS_MAX;
  for (;;) {
    const [row] = await adminQuery<{ lacking: number; uncounted: number; live: number }>(
      adminUrl,
      `select
         (select count(*)::int from messages m where m.org_id = $1 and m.sender_type <> 'system' and m.content <> ''
           and not exists (select from message_embeddings e where e.org_id = m.org_id and e.message_id = m.id)) as lacking,
         (select count(*)::int from turns where org_id = $1 and ended_at is null) as live,
         (select count(*)::int from message_embeddings where org_id = $1 and created_at > now() - interval '1 second') as uncounted`,
      [orgId],
    );
    if (row && row.lacking + row.uncounted + row.live === 0) return;
    if (Date.now() > until) throw new Error(`not settled: ${JSON.stringify(row)}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** An organization in which something was said and answered, and its archive. */
export async function spokenOrganization(name: string): Promise<{ org: TestOrganization; archive: string }> {
  const graphyn = inject("graphyn");
  const org = await newOrganization(graphyn, name);
  const person = await newPerson(org, "Ada");
  const echo = await newAgent(org, "Echo", "openai-proxy/dev-echo");
  const thread = await newThread(org, [echo], [person]);
  await say(org, thread, "first");
  await say(org, thread, "second");
  await settled(org, graphyn.adminUrl);
  return { org, archive: await exportOf(org) };
}

/** An organization with something of everything that an archive holds. */
export async function richOrganization(word: string) {
  const org = await newOrganization(inject("graphyn"), `Company ${word}`);
  const ada = await newPerson(org, `Ada ${word}`);
  const echo = await newAgent(org, "Echo", "openai-proxy/dev-echo", `You are Echo and know ${word}.`);
  const slow = await newAgent(org, "Slow", "openai-proxy/dev-n40-r20");
  const keeper = await ok(
    org.call<{ agent_id: string }>("POST", "/agents", {
      name: "Keeper",
      system_prompt: "You keep.",
      tools: ["archival_memory_insert", "conversation_search"],
      model: "openai-proxy/dev-echo",
    }),
  );
  await ok(
    org.call("POST", "/agents", {
      agent_id: echo,
      name: "Echo",
      system_prompt: `You are Echo II of ${word}.`,
      model: "openai-proxy/dev-echo",
    }),
  );
  await ok(
    org.call("PUT", `/limits/organization/${org.orgId}`, { tokens_per_month: 10_000_000, requests_per_minute: 1_000 }),
  );
  await ok(org.call("PUT", `/limits/person/${ada}`, { tokens_per_month: 1_000_000 }));

  const main = await newThread(org, [echo], [ada]);
  await say(org, main, `The secret is ${word}. ünï \u{1F600} "quoted" \\ \u2028 end`);
  const edited = await say(org, main, "Say it again", { sender_id: ada });
  await ok(org.call("POST", `/threads/${main}/messages/${edited}/edit`, { content: `Say ${word} once more` }));
  await answered(org, main);
  const { thread: fork } = await ok(org.call<Context>("POST", `/threads/${main}/fork`, { title: "Fork" }));

  const stopped = await newThread(org, [slow]);
  const stream = await openStream(org, stopped);
  await ok(org.call("POST", `/threads/${stopped}/messages`, { content: "Talk for long" }));
  await stream.until((all) => ofType(all, "ai_chunk").length > 3);
  await ok(org.call("POST", `/threads/${stopped}/cancel`));
  await stream.until((all) => ofType(all, "turn_cancelled").length > 0);
  await stream.close();

  const quiet = await newThread(org, [keeper.agent_id]);
  await ok(org.call("POST", `/threads/${quiet}/invitations`, { role: "speaker" }));
  const guest = await newOrganization(inject("graphyn"), "Home of a guest");
  const { token } = await ok(org.call<{ token: string }>("POST", `/threads/${quiet}/invitations`, { role: "speaker" }));
  await ok(guest.call("POST", "/invitations/accept", { token }));
  await ok(org.call("PATCH", `/threads/${quiet}`, { state: "archived" }));
  return { org, ada, echo, main, fork: fork.id, stopped, quiet, guestHome: guest };
}

export async function answered(org: TestOrganization, thread: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const { context } = await ok(org.call<{ context: Context }>("GET", `/threads/${thread}`));
    if (context.running_turns.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the agents are still answering");
}
