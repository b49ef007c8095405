import { ErrCode } from "encore.dev/api";
import type { Tx } from "../db/tenant";
import { invalid, problem } from "../lib/errors";
import type { LogEntry } from "../lib/events";
import { newId } from "../lib/ids";
import { requireLockedThread } from "./in-thread";
import { appendLog, type Draft, systemMessage } from "./log";
import { type ParticipantRole, requireNoGuests } from "./roles";

/** A thread is a conversation, not an audience: its participants travel in every answer's context. */
export const PARTICIPANTS_MAX = 100;

export interface Joining {
  people: string[];
  agents: string[];
  /** What they become; speakers without it. */
  role?: ParticipantRole | undefined;
}

interface Named {
  id: string;
  name: string;
}

/**
 * Adds people and agents to a thread, and says so in its log: for each one a `participant` entry and a system message. Those who
 * take part already are left as they are. Unknown ids refuse the whole call.
 */
export async function joinThread(tx: Tx, orgId: string, threadId: string, joining: Joining): Promise<LogEntry[]> {
  // The lock comes first, so that two calls at once see each other's participants.
  await requireLockedThread(tx, orgId, threadId);
  const people = await namedPeople(tx, orgId, threadId, unique(joining.people));
  const agents = await namedAgents(tx, orgId, threadId, unique(joining.agents));
  await refuseTooMany(tx, orgId, threadId, people.length + agents.length);

  const { role = "speaker" } = joining;
  if (role === "host" && agents.length > 0) throw hostIsAPerson();
  if (role === "host") {
    const ids = people.map(({ id }) => id);
    await requireNoGuests(tx, orgId, ids);
  }
  const rows = [
    ...people.map(({ id, name }) => ({ kind: "user" as const, user_id: id, agent_id: null, name })),
    ...agents.map(({ id, name }) => ({ kind: "agent" as const, user_id: null, agent_id: id, name })),
  ].map((row) => ({ id: newId("part"), role, ...row }));
  if (rows.length === 0) return [];
  await tx.exec`
    insert into participants (org_id, thread_id, id, kind, user_id, agent_id, name, role)
    select ${orgId}, ${threadId}, id, kind, user_id, agent_id, name, role
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb)
      as p(id text, kind text, user_id text, agent_id text, name text, role text)`;
  return appendLog(
    tx,
    orgId,
    threadId,
    rows.flatMap((row) => joined(row)),
  );
}

interface Joined {
  id: string;
  kind: "user" | "agent";
  name: string;
  role: ParticipantRole;
}

/** What the log says of a participant who comes. */
function joined({ id, kind, name, role }: Joined): Draft[] {
  return [
    { type: "participant", action: "joined", participant_id: id, kind, name, role },
    systemMessage(`${name} joined the conversation.`),
  ];
}

/** What the log says of a participant who goes. */
export function left({ id, kind, name }: Omit<Joined, "role">): Draft[] {
  return [
    { type: "participant", action: "left", participant_id: id, kind, name },
    systemMessage(`${name} left the conversation.`),
  ];
}

/** What the log says of a participant who becomes something else. */
export function roleChanged({ id, kind, name, role }: Joined): Draft[] {
  return [
    { type: "participant", action: "role_changed", participant_id: id, kind, name, role },
    systemMessage(`${name} is a ${role} of the conversation now.`),
  ];
}

export function hostIsAPerson() {
  return invalid(
    "host_is_a_person",
    "role: an agent cannot be a thread's host.",
    "Agents are speakers or listeners; name a person.",
  );
}

async function namedPeople(tx: Tx, orgId: string, threadId: string, ids: string[]): Promise<Named[]> {
  if (ids.length === 0) return [];
  const found = await tx.queryAll<Named & { here: boolean }>`
    select u.id, u.name, exists (
      select from participants p
      where p.org_id = u.org_id and p.thread_id = ${threadId} and p.user_id = u.id and p.left_at is null) as here
    from users u where u.org_id = ${orgId} and u.id = any(${ids}::text[])`;
  refuseUnknown("person", "people", ids, found);
  return inOrder(ids, found);
}

async function namedAgents(tx: Tx, orgId: string, threadId: string, ids: string[]): Promise<Named[]> {
  if (ids.length === 0) return [];
  const found = await tx.queryAll<Named & { here: boolean }>`
    select a.id, a.name, exists (
      select from participants p
      where p.org_id = a.org_id and p.thread_id = ${threadId} and p.agent_id = a.id and p.left_at is null) as here
    from agents a where a.org_id = ${orgId} and a.id = any(${ids}::text[]) and a.current_version_id is not null`;
  refuseUnknown("agent", "agents", ids, found);
  return inOrder(ids, found);
}

function refuseUnknown(noun: "person" | "agent", field: string, ids: string[], found: Named[]): void {
  const known = new Set(found.map((row) => row.id));
  const unknown = ids.filter((id) => !known.has(id));
  if (unknown.length === 0) return;
  throw invalid(
    `unknown_${noun}`,
    `${field}: ${unknown.length} of these ids name no ${noun} of your organization.`, // the ids are in details: messages are logged
    `Give ids of your organization, from GET /${field}.`,
    { unknown },
  );
}

async function refuseTooMany(tx: Tx, orgId: string, threadId: string, coming: number): Promise<void> {
  const here = await tx.queryRow<{ n: number }>`
    select count(*)::int as n from participants where org_id = ${orgId} and thread_id = ${threadId} and left_at is null`;
  if ((here?.n ?? 0) + coming <= PARTICIPANTS_MAX) return;
  throw problem(
    ErrCode.ResourceExhausted,
    "too_many_participants",
    `A thread takes ${PARTICIPANTS_MAX} participants; ${here?.n ?? 0} are here and ${coming} would join.`,
    "Remove participants who no longer take part, or begin another thread.",
    { participants_max: PARTICIPANTS_MAX },
  );
}

function inOrder(ids: string[], found: (Named & { here: boolean })[]): Named[] {
  const byId = new Map(found.map((row) => [row.id, row]));
  return ids.flatMap((id) => {
    const row = byId.get(id);
    return row && !row.here ? [row] : [];
  });
}

function unique(ids: string[]): string[] {
  return [...new Set(ids)];
}
