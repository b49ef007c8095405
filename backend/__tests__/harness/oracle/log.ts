import { grouped } from "./grouped";
import type { Entry, History, Turn, Words } from "./history";

/** How a turn's state is told in the log. */
const END_OF: Readonly<Record<string, string>> = {
  completed: "turn_completed",
  cancelled: "turn_cancelled",
  failed: "agent_error",
};
const ENDS = Object.values(END_OF);
const STATUS_OF: Readonly<Record<string, string>> = { completed: "complete", cancelled: "cancelled", failed: "failed" };

/** I1. Also of what nobody acknowledged: a request that was repeated with its key is stored once at most. */
export function acknowledged({ posted, entries, turns }: History): string[] {
  const found: string[] = [];
  const said = grouped(
    entries.filter(({ sender_type }) => sender_type === "user"),
    ({ content }) => content,
  );
  const known = new Set(turns.map(({ id }) => id));
  for (const { threadId, content, id, others = [], turns: promised = [] } of posted) {
    const stored = said.get(content) ?? [];
    if (stored.length > 1) found.push(`"${content}" is stored ${stored.length} times`);
    if (id === null) continue;
    if (stored.length === 0) found.push(`"${content}" was acknowledged and is lost`);
    if (stored.some((entry) => entry.message_id !== id || entry.thread_id !== threadId))
      found.push(`"${content}" is stored as another message than was acknowledged`);
    for (const other of others) if (other !== id) found.push(`"${content}" was acknowledged as ${id} and as ${other}`);
    for (const turn of promised)
      if (!known.has(turn)) found.push(`turn ${turn} was promised for "${content}" and is not there`);
  }
  return found;
}

/** I2, of what is stored. */
export function order({ threads, entries }: History): string[] {
  const byThread = grouped(entries, ({ thread_id }) => thread_id);
  return threads.flatMap(({ id, last_seq }) => {
    const seqs = (byThread.get(id) ?? []).map(({ seq }) => seq);
    if (seqs.length === last_seq && seqs.every((seq, index) => seq === index + 1)) return [];
    return [`thread ${id}: entries ${seqs.join(" ")} where 1 to ${last_seq} should be`];
  });
}

/** I3: the states, and what the log tells of them. */
export function terminal({ turns, entries, pieces, turnMsMax }: History): string[] {
  const found: string[] = [];
  const byTurn = grouped(entries, ({ turn_id }) => turn_id);
  for (const { id, state, reason, joined, ms } of turns) {
    const its = byTurn.get(id) ?? [];
    const ends = its.filter(({ kind }) => ENDS.includes(kind));
    const said = its.filter(({ kind }) => kind === "message");
    const end = END_OF[state];
    if (end === undefined) found.push(`turn ${id} is still ${state}`);
    else if (ends.length !== 1 || ends[0]?.kind !== end)
      found.push(`turn ${id} is ${state} and its log tells ${ends.map(({ kind }) => kind).join(", ") || "no end"}`);
    if (end !== undefined && its.at(-1) !== ends.at(-1)) found.push(`turn ${id} goes on after its end`);
    if (said.length > 1) found.push(`turn ${id} has ${said.length} messages`);
    if (said.length > 0 && end !== undefined && said[0]?.status !== STATUS_OF[state])
      found.push(`turn ${id} is ${state} and its message is ${said[0]?.status}`);
    if (state === "completed" && !joined && said.length === 0) found.push(`turn ${id} is completed without a message`);
    if (state === "failed" && !reason) found.push(`turn ${id} has failed and does not say why`);
    if (turnMsMax !== null && (ms ?? 0) > turnMsMax) found.push(`turn ${id} took ${ms} ms, ${turnMsMax} at most`);
  }
  return [...found, ...pieces.map((id) => `turn ${id} has pieces of text left`)];
}

/** I3: a completed turn has said what its model says, and another one a beginning of it. */
export function wholeTexts({ turns, entries }: History, words: Words): string[] {
  const byTurn = grouped(
    entries.filter(({ kind }) => kind === "message"),
    ({ turn_id }) => turn_id,
  );
  return turns.flatMap((turn) => {
    const text = byTurn.get(turn.id)?.[0]?.content ?? "";
    const should = words(turn);
    if (should === null || turn.joined) return [];
    if (turn.state === "completed" ? text === should : should.startsWith(text)) return [];
    return [`turn ${turn.id} is ${turn.state} with "${text}" where its model says "${should}"`];
  });
}

/** I4: what the log tells. A turn that began again, elsewhere, had stopped before. */
export function oneAtATime({ threads, entries, turns }: History): string[] {
  const found: string[] = [];
  const agentOf = new Map(turns.map((turn) => [turn.id, turn.agent_id]));
  const byThread = grouped(entries, ({ thread_id }) => thread_id);
  for (const { id } of threads) {
    const log = byThread.get(id) ?? [];
    /** By agent, the turn that runs. */
    const runs = new Map<string, string>();
    for (const [index, { kind, turn_id, seq }] of log.entries()) {
      if (turn_id === null) continue;
      const agent = agentOf.get(turn_id) ?? "";
      const other = runs.get(agent);
      if (kind === "turn_started") {
        if (other !== undefined && other !== turn_id && !beganAgain(log.slice(index), other))
          found.push(`thread ${id}: turn ${turn_id} began at ${seq} while turn ${other} of its agent ran`);
        runs.set(agent, turn_id);
      } else if (ENDS.includes(kind) && other === turn_id) runs.delete(agent);
    }
  }
  return found;
}

/** Whether a turn that had begun before was queued again: it begins anew, or ends without having said anything. */
function beganAgain(rest: Entry[], turn: string): boolean {
  const its = rest.filter(({ turn_id }) => turn_id === turn);
  return its[0]?.kind === "turn_started" || (its[0]?.kind === "turn_cancelled" && its.length === 1);
}

/** I5. */
export function usage({ threads, turns, shown }: History): string[] {
  const found: string[] = [];
  const byThread = grouped(turns, ({ thread_id }) => thread_id);
  for (const { id, prompt_tokens, completion_tokens } of threads) {
    const its = byThread.get(id) ?? [];
    const sum = (of: (turn: Turn) => number | null) => its.reduce((total, turn) => total + (of(turn) ?? 0), 0);
    const turnsHave = `${sum((turn) => turn.prompt_tokens)} and ${sum((turn) => turn.completion_tokens)}`;
    const threadHas = `${prompt_tokens} and ${completion_tokens}`;
    if (threadHas !== turnsHave) found.push(`thread ${id} counts ${threadHas} tokens, its turns ${turnsHave}`);
    const told = shown.find(({ threadId }) => threadId === id)?.usage;
    if (told && `${told.prompt_tokens} and ${told.completion_tokens}` !== threadHas)
      found.push(
        `thread ${id} counts ${threadHas} tokens and tells ${told.prompt_tokens} and ${told.completion_tokens}`,
      );
  }
  return found;
}
