import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, newThread, ok } from "../harness/organization";
import { memberOf, openSocket, type RawSocket } from "./socket";

/** The windows of a person as a socket was last told. */
function tabsOf(socket: RawSocket, userId: string): string[] | undefined {
  const told = socket.received.flatMap((message) =>
    message.type === "person" ? [message.person] : message.type === "welcome" ? message.people : [],
  );
  return told
    .filter(({ user_id }) => user_id === userId)
    .at(-1)
    ?.tabs.map(({ tab }) => tab);
}

async function room() {
  const org = await newOrganization();
  const ada = await memberOf(org, "Ada");
  const threadId = await newThread(org, [], [ada.userId]);
  const watcher = await openSocket(org, threadId, { tab: "watcher" });
  await watcher.first("welcome");
  return { org, ada, threadId, watcher };
}

describe.concurrent("presence", () => {
  it("comes back by itself when the database has lost it, as after its crash (WS-2)", async () => {
    const { org, ada, threadId, watcher } = await room();
    const hers = await openSocket(ada, threadId, { tab: "one" });
    await watcher.until(() => tabsOf(watcher, ada.userId)?.join() === "one");
    const { adminUrl } = inject("graphyn");
    const gone = await adminQuery(adminUrl, "delete from presence where org_id = $1 returning user_id, tab", [
      org.orgId,
    ]);
    expect(gone).toHaveLength(2);
    // Those who look meanwhile may see nobody, or nothing of it, where the look is the one that writes it anew.
    const kept = () =>
      adminQuery(adminUrl, "select user_id, tab from presence where org_id = $1 and expires_at > now()", [org.orgId]);
    await expect.poll(kept).toEqual(expect.arrayContaining(gone));
    await watcher.until(() => tabsOf(watcher, ada.userId)?.join() === "one");
    await watcher.until(() => tabsOf(watcher, org.userId)?.join() === "watcher");
    for (const socket of [hers, watcher]) socket.cut();
  });

  it("shows who is here, on which of several tabs, and who left (WS-1)", async () => {
    const { ada, org, threadId, watcher } = await room();
    const one = await openSocket(ada, threadId, { tab: "one" });
    await watcher.until(() => tabsOf(watcher, ada.userId)?.join() === "one");
    const two = await openSocket(ada, threadId, { tab: "two" });
    await watcher.until(() => tabsOf(watcher, ada.userId)?.join() === "one,two");
    expect((await two.first("welcome")).people).toMatchObject([
      { user_id: org.userId, tabs: [{ tab: "watcher" }] },
      { user_id: ada.userId, name: "Ada", tabs: [{ tab: "one" }, { tab: "two" }] },
    ]);
    one.send({ type: "leave" });
    await watcher.until(() => tabsOf(watcher, ada.userId)?.join() === "two");
    two.cut(); // without a word: shown a little longer
    expect(tabsOf(watcher, ada.userId)).toEqual(["two"]);
    await watcher.until(() => tabsOf(watcher, ada.userId)?.length === 0);
    watcher.cut();
  });

  it("takes coming back to the same tab for staying (WS-2)", async () => {
    const { ada, threadId, watcher } = await room();
    const before = await openSocket(ada, threadId, { tab: "one" });
    const since = (await before.first("welcome")).people.find((person) => person.user_id === ada.userId)?.tabs[0]
      ?.since;
    await watcher.until(() => tabsOf(watcher, ada.userId)?.join() === "one");
    before.cut();
    await sleep(1_000);
    const after = await openSocket(ada, threadId, { tab: "one" });
    const here = (await after.first("welcome")).people.find((person) => person.user_id === ada.userId);
    expect(here?.tabs).toEqual([{ tab: "one", since }]);
    await sleep(9_000); // longer than a broken tab is shown
    expect(tabsOf(watcher, ada.userId)).toEqual(["one"]);
    expect(watcher.of("person").filter(({ person }) => person.user_id === ada.userId)).toHaveLength(1);
    for (const socket of [after, watcher]) socket.cut();
  });

  it("leaves a tab to the newer of two connections that claim it (WS-2)", async () => {
    const { ada, threadId, watcher } = await room();
    const older = await openSocket(ada, threadId, { tab: "one" });
    await older.first("welcome");
    const newer = await openSocket(ada, threadId, { tab: "one" });
    await newer.first("welcome");
    older.send({ type: "leave" });
    await older.first("bye");
    await sleep(3_000); // a look at presence, and more
    expect(tabsOf(watcher, ada.userId)).toEqual(["one"]);
    for (const socket of [newer, watcher]) socket.cut();
  });

  it("shows typing, which ends by itself, by a word, or with the message (WS-1)", async () => {
    const { ada, threadId, watcher } = await room();
    const hers = await openSocket(ada, threadId);
    await hers.first("welcome");
    const said = () => watcher.of("typing").map(({ user_id, typing }) => [user_id, typing]);
    hers.send({ type: "typing", typing: true });
    const first = await watcher.first("typing");
    expect(first).toMatchObject({ user_id: ada.userId, name: "Ada", typing: true });
    expect(first.expires_in_ms).toBeGreaterThan(0);
    expect(first.expires_in_ms).toBeLessThanOrEqual(6_000);
    await watcher.until(() => said().length === 2); // by itself
    hers.send({ type: "typing", typing: true });
    hers.send({ type: "typing", typing: false, id: "t1" });
    await hers.first("ack", ({ id }) => id === "t1");
    hers.send({ type: "typing", typing: true });
    hers.send({ type: "send", id: "m1", content: "done" });
    await hers.first("ack", ({ id }) => id === "m1");
    await watcher.until(() => said().length >= 4 && said().at(-1)?.[1] === false);
    for (const [index, [userId, isTyping]] of said().entries())
      expect([userId, isTyping]).toEqual([ada.userId, index % 2 === 0]);
    for (const socket of [hers, watcher]) socket.cut();
  });

  it("refuses what the thread's role does not allow, and says who can help (WS-1, AGT-2)", async () => {
    const { org, ada, threadId, watcher } = await room();
    const { participants } = await ok(
      org.call<{ participants: { id: string; user_id: string }[] }>("GET", `/threads/${threadId}/participants`),
    );
    const hers = participants.find(({ user_id }) => user_id === ada.userId)?.id;
    await ok(org.call("PATCH", `/threads/${threadId}/participants/${hers}`, { role: "listener" }));
    const outsider = await memberOf(org, "Outsider");
    const listener = await openSocket(ada, threadId);
    const stranger = await openSocket(outsider, threadId);
    for (const socket of [listener, stranger]) {
      await socket.first("welcome");
      socket.send({ type: "send", id: "s", content: "may I?" });
      socket.send({ type: "typing", id: "t", typing: true });
      socket.send({ type: "cancel", id: "c" });
      await socket.until(() => socket.of("refused").length === 3);
      for (const refused of socket.of("refused")) {
        expect(["role_not_allowed", "not_a_participant"]).toContain(refused.reason);
        expect(refused).toMatchObject({ code: "permission_denied", retry_after_ms: null });
      }
    }
    listener.send({ type: "read", id: "r", seq: 1 });
    await listener.first("ack", ({ id }) => id === "r");
    stranger.send({ type: "read", id: "r", seq: 1 });
    expect(await stranger.first("refused", ({ id }) => id === "r")).toMatchObject({ reason: "not_a_participant" });
    for (const socket of [listener, stranger, watcher]) socket.cut();
  });
});
