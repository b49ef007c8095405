import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { adminQuery } from "../harness/database";
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

const graphyn = inject("graphyn");

/** Milliseconds. */
export const ERASED_MS_MAX = 40_000;

export interface ErasureView {
  id: string;
  subject: string;
  state: "running" | "done";
  step: string;
  counts: Record<string, number>;
  receipt: string | null;
  signature: string | null;
}
export interface Begun {
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
export const newWord = () => `planted${randomBytes(6).toString("hex")}`;

export async function erased(
  org: TestOrganization,
  { id, receipt_token }: Begun,
  ms = ERASED_MS_MAX,
): Promise<ErasureView> {
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

export async function say(org: TestOrganization, thread: string, content: string, sender_id?: string): Promise<void> {
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

export const messagesOf = async (org: TestOrganization, thread: string) =>
  (await ok(org.call<{ messages: Message[] }>("GET", `/threads/${thread}/messages?limit=200`))).messages;

/** A person whose word is wherever a person's words go. */
export async function wordy(server: { url: string } = graphyn) {
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

/**
 * After the process was killed: as if the time had passed for which its erasure counts as worked on. Where it is not called, another process
 * takes the erasure over when that time has passed.
 */
export async function leaseRunsOut(orgId: string): Promise<void> {
  await adminQuery(
    graphyn.adminUrl,
    "update erasures set lease_until = now() - interval '1 second' where org_id = $1 and state = 'running'",
    [orgId],
  );
}
