import { type Document, endpointsOf } from "./document";
import { difference, type Finding, finding, leaked, leakIn } from "./finding";
import { type Answer, must, send } from "./http";
import type { Party } from "./party";
import { type Own, type Trial, trialsOf } from "./trials";

/** Two answers are asked for again so often before they count as different: the attacker's own thread may have moved on between them. */
const TRIES = 3;
const WAIT_MS = 400;

/**
 * Every endpoint of the document, with the victim's ids at every place and, each time, the same request with ids that nobody has. The two
 * answers have to be one, byte for byte, and hold nothing of the victim.
 */
export async function attackEndpoints(
  document: Document,
  victim: Party,
  attacker: Party,
  say: (text: string) => void,
): Promise<{ tried: number; findings: Finding[] }> {
  const findings: Finding[] = [];
  let tried = 0;
  for (const endpoint of endpointsOf(document)) {
    if (endpoint.isSocket) continue; // sockets.ts
    say(`${endpoint.method} ${endpoint.path}`);
    const own = endpoint.method === "GET" ? attacker : await freshOwn(attacker);
    for (const trial of trialsOf(document, endpoint, victim, own)) {
      tried++;
      const found = await attempt(trial, victim);
      if (found) findings.push(found);
    }
  }
  return { tried, findings };
}

/** A thread of the attacker's own that nothing has happened to and no agent speaks in: whatever is done with it does no harm. */
async function freshOwn({ url, key, ids, word }: Party): Promise<Own> {
  const call = <T>(path: string, body: object) => must<T>(url, { method: "POST", path, key, body });
  const { thread, context } = await call<{ thread: { id: string }; context: { participants: { id: string }[] } }>(
    "/threads",
    {
      title: `Own ${word}`,
    },
  );
  const { message } = await call<{ message: { id: string } }>(`/threads/${thread.id}/messages`, { content: "hello" });
  const person = await call<{ id: string }>("/people", { name: `Own ${word}` });
  const spare = await call<{ id: string }>("/api-keys", { name: `Own ${word}`, days: 1 });
  return {
    key,
    ids: {
      ...ids,
      thread: [thread.id],
      msg: [message.id],
      part: context.participants.map((participant) => participant.id),
      user: [person.id],
      key: [spare.id],
    },
  };
}

async function attempt({ name, foreign, missing, sent, isKey }: Trial, victim: Party): Promise<Finding | null> {
  for (let tried = 1; ; tried++) {
    const answers = [await send(victim.url, foreign), await send(victim.url, missing)] as [Answer, Answer];
    const leak = leakIn(victim, `${answers[0].headers}\n${answers[0].text}`, sent.foreign);
    if (leak) return leaked(name, leak, answers[0].text);
    if (answers.some(({ status }) => status >= 500))
      return finding(name, `fails with ${answers[0].status}`, answers[0].text);
    const differs = isKey ? knowsKey(answers[0]) : difference(answers, sent);
    if (differs === null) return null;
    if (tried >= TRIES) return finding(name, "tells what is another's from what is not there", differs);
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  }
}

/** An idempotency key that another organization has used is a new one here. */
function knowsKey({ headers, text }: Answer): string | null {
  return /^idempotent-replayed/m.test(headers) || text.includes("idempotency_key_reused")
    ? `${headers}\n${text}`
    : null;
}
