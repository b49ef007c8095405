import { describe, expect, it } from "vitest";
import { createRecorder } from "../src/recorder";
import { startClient, user } from "./client";

describe("recording what was sent", () => {
  it("is off unless asked for", async () => {
    const client = await startClient();
    const response = await fetch(`${client.server.url}/debug/requests`);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain("--record");
    await client.server.close();
  });

  it("keeps body, tokens, their send times and the end, found by text, user and model", async () => {
    const client = await startClient({ record: true });
    await client.stream("dev-n3", [user('say "tangerine"\nplease')], { user: "user-1" });
    await client.stream("dev-cut-2", [user("tangerine again and again")], { user: "user-2" }).catch(() => undefined);
    const all: { requests: { tokens_sent: number; token_sent_monotonic_ms: number[] }[] } =
      await client.get("/debug/requests");
    expect(all.requests).toMatchObject([
      { user: "user-1", tokens_sent: 3, finish_reason: "stop", client_gone: false, status: 200 },
      { user: "user-2", tokens_sent: 2, finish_reason: null, client_gone: false },
    ]);
    const times = all.requests[0]?.token_sent_monotonic_ms ?? [];
    expect(times).toHaveLength(3);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    const count = async (query: string) =>
      ((await client.get(`/debug/requests?${query}`)) as typeof all).requests.length;
    expect(await count("contains=tangerine")).toBe(2);
    expect(await count(`contains=${encodeURIComponent('say "tangerine"\nplease')}`)).toBe(1);
    expect(await count("user=user-2")).toBe(1);
    expect(await count("model=dev-n3")).toBe(1);
    expect(await count("limit=1")).toBe(1);
    await fetch(`${client.server.url}/debug/requests`, { method: "DELETE" });
    expect(await count("")).toBe(0);
    await client.server.close();
  });

  it("is bounded in number and bytes, oldest out first", () => {
    const recorder = createRecorder();
    for (let i = 0; i < 1003; i++) recorder.begin("/", { i });
    const few = recorder.list({ contains: null, user: null, model: null, limit: 5000 });
    expect(few).toHaveLength(1000);
    expect(few[0]?.body).toEqual({ i: 3 });
    for (let i = 0; i < 5; i++) recorder.begin("/", { big: "x".repeat(10 * 1024 * 1024) });
    expect(recorder.list({ contains: null, user: null, model: null, limit: 5000 })).toHaveLength(3);
  });
});
