import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { newAgent, newThread, ok, type TestOrganization } from "../harness/organization";
import type { Server } from "../harness/server";
import { openStream, turnsEnded } from "../harness/stream";
import { openSocket } from "../realtime/socket";
import {
  clerkId,
  inOrganization,
  membersOf,
  newInstance,
  seconds,
  sessionToken,
  signedIn,
  startWithClerk,
  withToken,
} from "./clerk";

const clerk = newInstance();
let server: Server;

beforeAll(async () => {
  server = await startWithClerk(clerk);
});
afterAll(() => server?.stop());

/** Somebody's session: their token of the moment, as long as Clerk's live. */
async function signIn(sub = clerkId("user"), claims: Record<string, unknown> = {}): Promise<TestOrganization> {
  const token = sessionToken(clerk, { sub, name: "Ada", ...claims });
  await ok(withToken(server, token, "GET", "/people"));
  const [member] = await membersOf(sub);
  return signedIn(server, token, { orgId: member?.org_id ?? "", userId: member?.user_id ?? "" });
}

describe("somebody who signs in on the web", () => {
  it("comes from the first request to an agent's answer in a thread, with nothing but their tokens (SEC-3, LET-1)", async () => {
    const ada = await signIn(clerkId("user"), inOrganization(clerkId("org"), "admin"));
    const agent = await newAgent(ada, "Planner");
    const threadId = await newThread(ada, [agent]);
    const stream = await openStream(ada, threadId);
    const posted = await ok(
      ada.call<{ message: { sender_id: string; sender_name: string } }>("POST", `/threads/${threadId}/messages`, {
        content: "hello",
      }),
    );
    expect(posted.message).toMatchObject({ sender_id: ada.userId, sender_name: "Ada" });
    const received = await stream.until(turnsEnded(1));
    const answers = received.flatMap(({ event }) =>
      event.type === "message" && event.message.sender_type === "agent" ? [event.message.content] : [],
    );
    expect(answers.join("")).toContain("hello");
    await stream.close();
  });

  it("is told when the token of a stream or a socket has expired, and goes on with a fresh one (SEC-3, SSE-4, WS-2)", async () => {
    const sub = clerkId("user");
    const exp = seconds(8);
    const ada = await signIn(sub, { exp, iat: seconds(-52) });
    const threadId = await newThread(ada);
    const stream = await openStream(ada, threadId);
    const socket = await openSocket(ada, threadId, { key: ada.apiKey });
    await stream.until((received) => received.some(({ event }) => event.type === "caught_up"));
    const told = await stream.until((received) => received.some(({ event }) => event.type === "error"));
    expect(told.at(-1)).toMatchObject({ id: undefined, event: { type: "error", reason: "session_expired" } });
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(exp);
    const bye = await socket.first("bye");
    expect(bye).toMatchObject({ reason: "session_expired", reconnect: true, after_ms: 0 });

    const again = await signIn(sub);
    expect(again.userId).toBe(ada.userId);
    await ok(again.call("POST", `/threads/${threadId}/messages`, { content: "back" }));
    const cursor = told.filter(({ id }) => id !== undefined).at(-1)?.id;
    const resumed = await openStream(again, threadId, cursor);
    const after = await resumed.until((received) => received.some(({ event }) => event.type === "caught_up"));
    expect(after.map(({ event }) => event.type)).toEqual(["message", "caught_up"]);
    await resumed.close();
    const back = await openSocket(again, threadId, { key: again.apiKey, cursor: bye.cursor ?? "" });
    await back.first("event", ({ event }) => event.type === "message");
    back.cut();
  });

  it("opens a WebSocket from a browser, which can set no header there: the token goes in a subprotocol (SEC-3, WS-1)", async () => {
    const ada = await signIn();
    const threadId = await newThread(ada);
    const url = `${server.url.replace("http", "ws")}/threads/${threadId}/collaborate`;
    const opens = (token: string) => {
      const headers = Buffer.from(JSON.stringify({ authorization: `Bearer ${token}` })).toString("base64url");
      const socket = new WebSocket(url, ["encore-ws", `encore.dev.headers.${headers}`]);
      return new Promise<string>((resolve) => {
        socket.once("message", (data) => {
          resolve((JSON.parse(String(data)) as { type: string }).type);
          socket.terminate();
        });
        socket.once("error", (error) => resolve(error.message));
      });
    };
    expect(await opens(ada.apiKey)).toBe("welcome");
    expect(await opens(sessionToken(newInstance(), { sub: clerkId("user") }))).toContain("401");
  });
});
