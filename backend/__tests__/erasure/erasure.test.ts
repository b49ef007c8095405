import { describe, expect, inject, it } from "vitest";
import { isSigned } from "../../erasure/sign";
import { adminQuery } from "../harness/database";
import {
  type Context,
  newAgent,
  newOrganization,
  ok,
  type Problem,
  request,
  type TestOrganization,
} from "../harness/organization";
import { openStream } from "../harness/stream";
import { type Begun, erased, messagesOf, newWord, say, wordy } from "./erased";
import { wherePlanted } from "./planted";

const graphyn = inject("graphyn");

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
