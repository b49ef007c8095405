import type { Message } from "../../lib/events";
import { type Context, ok, type TestOrganization } from "../harness/organization";

export interface Branch {
  branch: number;
  is_current: boolean;
  parent_branch: number | null;
  action: string | null;
  spans: { from_seq: number; to_seq: number | null }[];
}

export interface Posted {
  message: Message;
  turns: { id: string; agent_id: string }[];
  left_branch: number;
  context: Context;
}

export interface Made {
  thread: { id: string; title: string | null; branch: number; parent_id: string | null; parent_seq: number | null };
  context: Context;
  parent_context: Context;
}

const ENDS_MS_MAX = 30_000;
const LOOK_MS = 50;

/** What the tests of branches do in an organization, and how they look at it. */
export function branchesOf(org: TestOrganization) {
  const calls = {
    say: (id: string, content: string, more: object = {}) =>
      ok(org.call<Posted>("POST", `/threads/${id}/messages`, { content, ...more })),
    edit: (id: string, message: string, content: string, more: object = {}) =>
      ok(org.call<Posted>("POST", `/threads/${id}/messages/${message}/edit`, { content, ...more })),
    regenerate: (id: string, message: string) =>
      ok(org.call<Posted>("POST", `/threads/${id}/messages/${message}/regenerate`)),
    rewind: (id: string, to_seq: number) =>
      ok(org.call<{ branch: Branch; context: Context }>("POST", `/threads/${id}/rewind`, { to_seq })),
    restore: (id: string, branch: number) =>
      ok(org.call<{ branch: Branch; context: Context }>("POST", `/threads/${id}/branches/${branch}/restore`)),
    fork: (id: string, more: object = {}) => ok(org.call<Made>("POST", `/threads/${id}/fork`, more)),
    split: (id: string, at_seq: number, more: object = {}) =>
      ok(org.call<Made>("POST", `/threads/${id}/split`, { at_seq, ...more })),
    merge: (id: string, from_thread_id: string) =>
      ok(
        org.call<{
          merged_messages: number;
          first_seq: number;
          last_seq: number;
          context: Context;
          from_context: Context;
        }>("POST", `/threads/${id}/merge`, { from_thread_id }),
      ),
    branches: async (id: string) =>
      (await ok(org.call<{ branches: Branch[] }>("GET", `/threads/${id}/branches`))).branches,
    messages: async (id: string, query = "") =>
      (await ok(org.call<{ messages: Message[] }>("GET", `/threads/${id}/messages?limit=500${query}`))).messages,
    /** What people and agents said, without the system's words. */
    said: async (id: string, query = "") =>
      (await calls.messages(id, query)).filter((m) => m.sender_type !== "system").map((m) => m.content),
    /** Resolves when no agent of the thread is queued or running. */
    quiet: async (id: string) => {
      const until = performance.now() + ENDS_MS_MAX;
      for (;;) {
        const { context } = await ok(org.call<{ context: Context }>("GET", `/threads/${id}`));
        if (context.running_turns.length === 0) return context;
        if (performance.now() > until)
          throw new Error(`turns have not ended: ${JSON.stringify(context.running_turns)}`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    },
  };
  return calls;
}

export interface ModelRequest {
  messages: { role: string; content: string | null }[];
}

/** The last request that a model was sent with this text in it: what the agent knows of the conversation, word for word. */
export async function lastRequest(contains: string): Promise<ModelRequest> {
  const url = `${process.env.DEV_MODEL_URL}/debug/requests?limit=1000&contains=${encodeURIComponent(contains)}`;
  const { requests } = (await (await fetch(url)).json()) as { requests: { path: string; body: ModelRequest }[] };
  const last = requests.filter(({ path }) => path.includes("chat")).at(-1);
  if (!last) throw new Error(`the model was never sent ${contains}`);
  return last.body;
}

/** All of a request but the instructions, as one text. */
export function conversationOf(request: ModelRequest): string {
  return JSON.stringify(request.messages.filter((message) => message.role !== "system"));
}
