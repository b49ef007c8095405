import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Fanout, OpenFanout } from "../../threads/live/fanout/fanout";
import type { Change, Hint, Hints } from "../../threads/live/fanout/hints";
import { openPostgresFanout } from "../../threads/live/fanout/postgres";
import { openRedisFanout } from "../../threads/live/fanout/redis";
import { createDatabase } from "../harness/database";
import { startRedis } from "../harness/redis";
import { startTcpProxy, type TcpProxy } from "../harness/tcp-proxy";

/** What every Fanout must do, whatever carries its hints. */
const IMPLEMENTATIONS: {
  name: string;
  open: OpenFanout;
  start: () => Promise<{ url: string; stop(): Promise<void> }>;
}[] = [
  {
    name: "PostgreSQL",
    open: openPostgresFanout,
    start: async () => {
      const database = await createDatabase();
      return { url: database.url, stop: () => database.drop() };
    },
  },
  { name: "Redis", open: openRedisFanout, start: startRedis },
];

describe.each(IMPLEMENTATIONS)("hints between processes over $name", ({ open, start }) => {
  let server: Awaited<ReturnType<typeof start>>;
  let proxy: TcpProxy;
  const opened: Fanout[] = [];
  beforeAll(async () => {
    server = await start();
    const target = new URL(server.url);
    proxy = await startTcpProxy(`http://${target.host}`);
  });
  afterEach(async () => {
    proxy.fault = { kind: "none" };
    await Promise.all(opened.splice(0).map((fanout) => fanout.close()));
  });
  afterAll(async () => {
    await proxy?.close();
    await server?.stop();
  });

  /** A process, as far as hints go. */
  async function join(through: "server" | "proxy" = "server") {
    const url = new URL(server.url);
    if (through === "proxy") url.host = new URL(proxy.url).host;
    const heard: Hints[] = [];
    const warnings: string[] = [];
    const fanout = open(url.href, { hear: (hints) => heard.push(hints), warn: (what) => warnings.push(what) });
    opened.push(fanout);
    await fanout.ready;
    expect(heard).toEqual(["all"]); // what was said before it listened
    heard.length = 0;
    const named = () => heard.flatMap((hints) => (hints === "all" ? [] : hints));
    return { fanout, heard, named, warnings };
  }
  const hint = (orgId: string, threadId: string, ...changes: Change[]): Hint => ({
    orgId,
    threadId,
    changes: new Set(changes),
  });
  const plain = (hints: readonly Hint[]) =>
    hints.map(({ orgId, threadId, changes }) => `${orgId}/${threadId}:${[...changes].sort()}`).sort();

  it("reach every other process and not the one that sent them (SSE-3)", async () => {
    const [a, b, c] = [await join(), await join(), await join()];
    await a.fanout.send([
      hint("org_1", "thread_1", "log", "text"),
      hint("org_1", "thread_2", "people"),
      hint("org_2", "thread_1", "turns"),
    ]);
    await c.fanout.send([hint("org_3", "thread_3", "log")]); // by then c itself would have heard a's if it missed its turn
    const first = ["org_1/thread_1:log,text", "org_1/thread_2:people", "org_2/thread_1:turns"];
    await expect.poll(() => plain(b.named())).toEqual([...first, "org_3/thread_3:log"]);
    await expect.poll(() => plain(c.named())).toEqual(first);
    await expect.poll(() => plain(a.named())).toEqual(["org_3/thread_3:log"]);
  });

  it("arrive in the order of one sender, each once (SSE-3)", async () => {
    const [a, b] = [await join(), await join()];
    const sent = Array.from({ length: 200 }, (_, index) => `thread_${index}`);
    for (const threadId of sent) await a.fanout.send([hint("org_1", threadId, "log")]);
    await expect.poll(() => b.named().length).toBe(sent.length);
    expect(b.named().map(({ threadId }) => threadId)).toEqual(sent);
  });

  it("name a thousand threads at once; of ten thousand they say that everything changed (SSE-3)", async () => {
    const [a, b] = [await join(), await join()];
    const threads = (count: number) =>
      Array.from({ length: count }, (_, index) =>
        hint("org_01kb0000000000000000000000", `thread_01kb${String(index).padStart(22, "0")}`, "log", "text"),
      );
    await a.fanout.send(threads(1_000));
    await expect.poll(() => plain(b.named())).toEqual(plain(threads(1_000)));
    expect(b.heard).not.toContain("all");
    await a.fanout.send(threads(10_000));
    await expect.poll(() => b.heard.at(-1)).toBe("all");
    expect(b.named()).toHaveLength(1_000);
  });

  it("are asked for anew by who could not hear: everything may have changed meanwhile (SSE-4)", async () => {
    const [a, b] = [await join(), await join("proxy")];
    await proxy.goDown();
    await a.fanout.send([hint("org_1", "thread_lost", "log")]);
    await expect.poll(() => b.warnings.length).toBeGreaterThan(0);
    await proxy.comeBack();
    await expect.poll(() => b.heard, { timeout: 40_000 }).toContain("all");
    await a.fanout.send([hint("org_1", "thread_after", "log")]);
    await expect.poll(() => plain(b.named()).at(-1), { timeout: 40_000 }).toBe("org_1/thread_after:log");
  });

  it("that could not be sent are made good: the others look at everything (SSE-4)", async () => {
    const [a, b] = [await join("proxy"), await join()];
    await proxy.goDown();
    await expect.poll(() => a.warnings.length).toBeGreaterThan(0);
    await a.fanout.send([hint("org_1", "thread_lost", "log")]); // gives up at once
    expect(b.heard).toEqual([]);
    await proxy.comeBack();
    await expect.poll(() => b.heard, { timeout: 40_000 }).toEqual(["all"]);
    await a.fanout.send([hint("org_1", "thread_after", "log")]);
    await expect.poll(() => plain(b.named())).toEqual(["org_1/thread_after:log"]);
  });

  it("notice a connection whose other end has gone without a word (SSE-4)", async () => {
    const [a, b] = [await join("proxy"), await join()];
    proxy.fault = { kind: "black_hole" };
    await a.fanout.send([hint("org_1", "thread_lost", "log")]); // resolves: it waits for an answer for a bounded time
    await expect.poll(() => a.warnings.length).toBeGreaterThan(0);
    proxy.fault = { kind: "none" };
    await expect.poll(() => a.heard, { timeout: 40_000 }).toContain("all");
    await expect.poll(() => b.heard, { timeout: 40_000 }).toContain("all");
  });

  it("are not given up where the other end takes connections and says nothing on them (SSE-4)", async () => {
    const [a, b] = [await join("proxy"), await join()];
    proxy.fault = { kind: "black_hole" };
    const before = proxy.accepted;
    proxy.dropConnections();
    await expect.poll(() => proxy.accepted).toBeGreaterThan(before); // it tries again, and hears nothing
    await a.fanout.send([hint("org_1", "thread_lost", "log")]);
    proxy.fault = { kind: "none" };
    await expect.poll(() => a.heard, { timeout: 40_000 }).toContain("all");
    await expect.poll(() => b.heard, { timeout: 40_000 }).toContain("all");
  });

  it("end with the process, and keep nothing open (SSE-4)", async () => {
    const before = proxy.accepted;
    const a = await join("proxy");
    expect(proxy.accepted).toBeGreaterThan(before);
    await a.fanout.close();
    await a.fanout.send([hint("org_1", "thread_1", "log")]);
    await proxy.goDown();
    await proxy.comeBack();
    const after = proxy.accepted;
    await new Promise((resolve) => setTimeout(resolve, 300)); // several of the first pauses
    expect(proxy.accepted).toBe(after);
    expect(a.warnings).toEqual([]);
  });
});
