import type { Document } from "./document";
import { type Finding, leaked, leakIn } from "./finding";
import { must, send } from "./http";
import { type Party, view } from "./party";
import { openSocket } from "./socket";

/** The victim talks so long while its neighbour listens, ms. */
const LISTEN_MS = 1_500;

/**
 * All that the attacker may read of its own: lists, search for the victim's very words, its threads' stream and socket while the victim talks.
 * Nothing of the victim may stand in it.
 */
export async function attackReads(
  document: Document,
  victim: Party,
  attacker: Party,
): Promise<{ tried: number; findings: Finding[] }> {
  const findings: Finding[] = [];
  let tried = 0;
  const look = (at: string, text: string, sent: string[] = []) => {
    tried++;
    const leak = leakIn(victim, text, sent);
    if (leak) findings.push(leaked(at, leak, text));
  };
  for (const text of await view(document, attacker, { exported: true })) look("the attacker's own lists", text);
  const { word } = victim;
  const queries = [
    word,
    `"Remember ${word}"`,
    `Remember ${word}, please.`,
    `what does the guard of the word say OR ${word}`,
  ];
  for (const q of queries) {
    const path = `/search?q=${encodeURIComponent(q)}&limit=100`;
    const { text } = await send(attacker.url, { method: "GET", path, key: attacker.key });
    look(`GET /search for "${q.replaceAll(word, "…")}"`, text, [q, word].slice(0, 1));
  }
  const thread = attacker.ids.thread?.[0] ?? "";
  const socket = await openSocket(attacker, thread);
  const stream = send(attacker.url, { method: "GET", path: `/threads/${thread}/stream`, key: attacker.key });
  await must(victim.url, {
    method: "POST",
    path: `/threads/${victim.ids.thread?.[0]}/messages`,
    key: victim.key,
    body: { content: `Aloud: ${word}` },
  });
  await new Promise((resolve) => setTimeout(resolve, LISTEN_MS));
  look("the attacker's own stream", (await stream).text);
  look("the attacker's own socket", socket.received.join("\n"));
  socket.close();
  return { tried, findings };
}
