import { get, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, newThread, ok, type Problem, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { type Elsewhere, exportOf, importInto, linesOf, rowsHere, startElsewhere } from "./archives";

const graphyn = inject("graphyn");
/** Far more than sockets and the server's own bound hold: 20 MB in messages of 100 kB. */
const MESSAGES = 200;
const MESSAGE_CHARS = 100_000;

let org: TestOrganization;
let thread: string;
let before: string;
beforeAll(async () => {
  org = await newOrganization(graphyn, "Large");
  thread = await newThread(org);
  await adminQuery(
    graphyn.adminUrl,
    `with entry as (
       insert into thread_log (org_id, thread_id, seq, kind)
       select $1, $2, 1000 + n, 'message' from generate_series(1, ${MESSAGES}) n returning seq)
     insert into messages (org_id, thread_id, seq, id, sender_type, sender_id, sender_name, content)
     select $1, $2, seq, 'msg_01h455vb4pex5vsknk' || lpad(seq::text, 8, '0'), 'system', 'system', 'System', repeat('0123456789', ${MESSAGE_CHARS / 10})
     from entry`,
    [org.orgId, thread],
  );
  before = await exportOf(org);
  expect(before.length).toBeGreaterThan(MESSAGES * MESSAGE_CHARS);
}, 60_000);

/** An export whose reader has not begun to read. */
function begin(apiKey = org.apiKey): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${apiKey}` };
    get(`${org.url}/export`, { headers, agent: false }, (response) => resolve(response.pause())).on("error", reject);
  });
}

async function readAll(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

describe("an export that is read slowly", () => {
  it("is of the moment it was asked for, and one at a time (SEC-7)", async () => {
    const slow = await begin();
    await ok(org.call("PATCH", `/threads/${thread}`, { title: "changed meanwhile" }));
    const second = await org.call<Problem>("GET", "/export");
    expect([second.status, second.body.details.reason]).toEqual([429, "too_many_exports"]);
    expect(await readAll(slow)).toBe(before);
    const after = await exportOf(org);
    expect(after).not.toBe(before);
    expect(after).toContain("changed meanwhile");
  });

  it("ends when its key is revoked, and says so (SEC-4, SEC-7)", async () => {
    const { id, api_key } = await ok(
      org.call<{ id: string; api_key: string }>("POST", "/api-keys", { name: "to be revoked" }),
    );
    const slow = await begin(api_key);
    await ok(org.call("DELETE", `/api-keys/${id}`));
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const text = await readAll(slow);
    expect(linesOf(text).at(-1)).toBe('{"cut":{"reason":"credential_ended"}}');
    expect(text.length).toBeLessThan(before.length);
  });

  it("whose reader goes away lets the next one in (SEC-7)", async () => {
    const gone = await begin();
    gone.destroy();
    let left = await org.call("GET", "/export");
    for (let tries = 0; tries < 50 && left.status === 429; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      left = await org.call("GET", "/export");
    }
    expect(left.status).toBe(200);
  });
});

describe("an import", () => {
  let elsewhere: Elsewhere;
  beforeAll(async () => {
    elsewhere = await startElsewhere();
  }, 60_000);
  afterAll(() => elsewhere?.stop());

  it("whose process is killed in its middle has done nothing, and can be done again (SEC-7)", async () => {
    const { database, adminKey, server } = elsewhere;
    const second: Server = await startServer({
      databaseUrl: database.url,
      adminKey,
      env: { ENCORE_NODE_DB_POOL: "6" },
    });
    const archive = Buffer.from(await exportOf(org));
    const half = new ReadableStream({
      start(controller) {
        controller.enqueue(archive.subarray(0, archive.length / 2)); // and no more
      },
    });
    const sending = fetch(`${second.url}/organizations/import`, {
      method: "POST",
      headers: { "x-admin-key": adminKey },
      body: half,
      duplex: "half",
    } as RequestInit).catch(() => null);
    const writing =
      "select count(*)::int as n from pg_stat_activity where datname = current_database() and state = 'idle in transaction'";
    for (let tries = 0; tries < 100; tries++) {
      const [row] = await adminQuery<{ n: number }>(database.adminUrl, writing);
      if (row && row.n > 0) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await second.stop("SIGKILL");
    await sending;
    expect(await rowsHere(database.adminUrl, org.orgId)).toEqual({});
    expect(await importInto({ server, adminKey }, archive)).toMatchObject({ status: 200 });
  });
});
