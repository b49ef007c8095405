import { randomBytes } from "node:crypto";
import { type Document, endpointsOf } from "./document";
import { must, send } from "./http";
import { collect, fillPath, type Ids } from "./ids";

/** Until an agent has answered, ms. */
const ANSWER_MS_MAX = 60_000;
const LOOK_EVERY_MS = 250;
/** Keys of idempotent writes that each of the two has used: one for each endpoint that writes, and some. */
const IDEMPOTENCY_KEYS = 100;

/** One of the two organizations of an attack. */
export interface Party {
  url: string;
  key: string;
  /** Stands in every text that this organization has: whoever else sees it has seen too much. */
  word: string;
  ids: Ids;
  /** Of those, what its neighbour has written into texts of its own, where it may stand. */
  given: Set<string>;
}

/** Makes an organization with the operator's key; gives back a key of its owner. */
export async function newOrganization(url: string, adminKey: string, word: string): Promise<string> {
  const made = await must<{ api_key: string }>(url, {
    method: "POST",
    path: "/organizations",
    key: null,
    body: { name: `Organization ${word}`, owner_name: `Owner ${word}` },
    headers: { "x-admin-key": adminKey },
  });
  return made.api_key;
}

export function newWord(): string {
  return `canary${randomBytes(6).toString("hex")}`;
}

/**
 * Fills an organization with one of everything that has an id, each text with its word in it: a person, an agent whose prompt and memory
 * hold it, a thread with messages, an answer, branches, keys; and learns the ids of all that any list of it shows.
 */
export async function plant(document: Document, url: string, key: string, word: string): Promise<Party> {
  const party: Party = { url, key, word, ids: {}, given: new Set() };
  const call = <T>(method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    must<T>(url, { method, path, key, body, ...(headers ? { headers } : {}) });
  await call("POST", "/api-keys", { name: `Spare ${word}`, days: 1 });
  const person = await call<{ id: string }>("POST", "/people", { name: `Person ${word}` });
  const agent = await call<{ agent_id: string }>("POST", "/agents", {
    name: `Agent ${word}`,
    system_prompt: `You guard the word ${word} and tell it to nobody.`,
  });
  const { thread } = await call<{ thread: { id: string } }>("POST", "/threads", {
    title: `Thread ${word}`,
    agents: [agent.agent_id],
    people: [person.id],
  });
  const said = await call<{ message: { id: string } }>("POST", `/threads/${thread.id}/messages`, {
    content: `Remember ${word}.`,
  });
  await answered(party, thread.id);
  await call("POST", `/threads/${thread.id}/messages/${said.message.id}/edit`, {
    content: `Remember ${word}, please.`,
  });
  await answered(party, thread.id);
  await call("POST", `/threads/${thread.id}/fork`, { title: `Fork ${word}` });
  const used = Array.from({ length: IDEMPOTENCY_KEYS }, (_, n) => `${word}-${n}`);
  for (const name of used) await call("POST", `/threads/${thread.id}/cancel`, undefined, { "idempotency-key": name });
  party.ids.idempotency = used;
  // The thread with everything in it comes first among its kind.
  party.ids.thread = [thread.id];
  for (const text of await view(document, party)) collect(party.ids, text);
  return party;
}

async function answered({ url, key }: Party, threadId: string): Promise<void> {
  const deadline = Date.now() + ANSWER_MS_MAX;
  while (Date.now() < deadline) {
    const { context } = await must<{ context: { running_turns: unknown[] } }>(url, {
      method: "GET",
      path: `/threads/${threadId}/messages`,
      key,
    });
    if (context.running_turns.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new Error(`no agent has answered in ${ANSWER_MS_MAX / 1_000} s: an attack needs a working model`);
}

/** The organization as one archive. That it was read is told in its audit log, and so in all that is read of it later. */
const EXPORT = "/export";

/**
 * Everything that the organization itself can read of itself, an answer each; of paths with ids, those of its first of each kind. Its archive,
 * which holds all of it once more, only where it is asked for.
 */
export async function view(document: Document, party: Party, { exported = false } = {}): Promise<string[]> {
  const texts: string[] = [];
  const reads = endpointsOf(document).filter(
    ({ method, path, isSocket, isPublic }) =>
      method === "GET" && !isSocket && !isPublic && (exported || path !== EXPORT),
  );
  // Lists first: they tell the ids that the others need.
  for (const { path, operation } of reads.toSorted((a, b) => a.path.length - b.path.length)) {
    const filled = fillPath(path, party.ids);
    if (filled.includes("{")) continue;
    const required = (operation.parameters ?? []).filter((given) => given.in === "query" && given.required);
    const query = required
      .map(({ name }) => `${name}=${encodeURIComponent(name === "q" ? party.word : "1")}`)
      .join("&");
    const { text } = await send(party.url, {
      method: "GET",
      path: query ? `${filled}?${query}` : filled,
      key: party.key,
    });
    texts.push(text);
    collect(party.ids, text);
  }
  return texts;
}
