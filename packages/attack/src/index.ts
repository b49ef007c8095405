import type { Document } from "./document";
import { attackEndpoints } from "./endpoints";
import { type Finding, finding } from "./finding";
import { attackHeaders } from "./headers";
import { attackServer } from "./hostile";
import { must } from "./http";
import { attackByPrompt } from "./injection";
import { newOrganization, newWord, type Party, plant, view } from "./party";
import { attackReads } from "./reads";
import { attackSockets, type SocketDocument } from "./sockets";
import { attackWithoutKey } from "./strangers";
import { attackByTiming } from "./timing";

export type { Finding } from "./finding";

export interface Target {
  /** Of the deployment, without a slash at its end. */
  url: string;
  /** The operator's key, which makes the two test organizations; or owners' keys of two that are there for it. */
  admits: { adminKey: string } | { keys: readonly [victim: string, attacker: string] };
}

export const PARTS = [
  "Own reads",
  "Without a key",
  "Endpoints",
  "Sockets",
  "The victim",
  "Prompts",
  "Headers",
  "Hostile",
  "Timing",
] as const;
export type PartName = (typeof PARTS)[number];

export interface Part {
  name: PartName | "Organizations";
  tried: number;
  findings: Finding[];
  told?: string;
}

export interface Show {
  /** Runs a part and shows it; `say` tells what it is at. */
  part(name: Part["name"], run: (say: (text: string) => void) => Promise<Part>): Promise<Part>;
}

const SILENT: Show = { part: (_name, run) => run(() => {}) };

/**
 * Attacks a running Graphyn as one of its organizations that wants the other's data: fills both, tries every endpoint of `/openapi.json` and
 * every message of `/asyncapi.json` with the other's ids at every place, and looks whether anything of the victim comes back, or tells what is
 * another's from what is not there. Afterwards the victim must be as it was. Resolves with every part and what it found; an empty list
 * of findings everywhere means that the walls held.
 */
export async function attack(
  { url, admits }: Target,
  { part }: Show = SILENT,
  chosen: readonly PartName[] = PARTS,
): Promise<Part[]> {
  const document = await must<Document>(url, { method: "GET", path: "/openapi.json", key: null });
  const socketDocument = await must<SocketDocument>(url, { method: "GET", path: "/asyncapi.json", key: null });
  const parties: Party[] = [];
  const parts = [
    await part("Organizations", async (say) => {
      for (const [index, who] of ["victim", "attacker"].entries()) {
        say(`filling the ${who}'s`);
        const word = newWord();
        const key = "keys" in admits ? (admits.keys[index] ?? "") : await newOrganization(url, admits.adminKey, word);
        parties.push(await plant(document, url, key, word));
      }
      return { name: "Organizations", tried: parties.length, findings: [] };
    }),
  ];
  const [victim, attacker] = parties as [Party, Party];
  const run = async (name: PartName, work: (say: (text: string) => void) => Promise<Omit<Part, "name">>) => {
    if (!chosen.includes(name)) return;
    parts.push(await part(name, async (say) => ({ name, ...(await work(say)) })));
  };
  // First, while nothing that the attacker sent stands in its own texts.
  await run("Own reads", () => attackReads(document, victim, attacker));
  const before = await standing(document, victim);
  await run("Without a key", () => attackWithoutKey(document, victim));
  await run("Endpoints", (say) => attackEndpoints(document, victim, attacker, say));
  await run("Sockets", () => attackSockets(socketDocument, victim, attacker));
  await run("The victim", async () => untouched(before, await standing(document, victim)));
  await run("Prompts", () => attackByPrompt(victim, attacker));
  await run("Headers", () => attackHeaders(document, attacker));
  await run("Hostile", () => attackServer(attacker));
  await run("Timing", () => attackByTiming(victim, attacker));
  return parts;
}

/**
 * All that the victim can read of itself, but for how the servers are, which is nobody's, and for what a search finds and embeddings cost,
 * which follow their jobs.
 */
async function standing(document: Document, victim: Party): Promise<string[]> {
  const texts = await view(document, { ...victim, ids: structuredClone(victim.ids) });
  return texts
    .filter((text) => !/"(latency_ms|score|other_calls)":/.test(text))
    .map((text) => text.replaceAll(/"last_used_at":[^,}]*/g, '"last_used_at":…'));
}

function untouched(before: string[], after: string[]): Omit<Part, "name"> {
  const findings = before.flatMap((text, index) => {
    const now = after[index] ?? "";
    return text === now ? [] : [finding("the victim's own view", "has changed", `${text}\n---\n${now}`)];
  });
  return { tried: before.length, findings };
}
