import type { Answer, History } from "./history";

/** Milliseconds within which a request is refused, if it is: four until the database's silence is told, and what a busy machine adds. */
export const REFUSAL_MS_MAX = 8_000;
/** Milliseconds without any answer, on a connection that stays: nobody will ever know. */
const SILENCE_MS_MAX = 19_000;
/** Characters of a text that a finding quotes. */
const QUOTED_CHARS_MAX = 300;

/** Refusals that a client mends; whether it may come back is in what `hint` says. */
const CLIENTS_OWN = [
  "invalid_argument",
  "not_found",
  "already_exists",
  "permission_denied",
  "failed_precondition",
  "aborted",
];

/** I8. No client here ever gives a wrong key: that one is refused is a finding too. */
export function refusals({ answers }: History): string[] {
  return answers.flatMap((answer) => {
    if (answer.status === 0)
      return answer.ms < SILENCE_MS_MAX ? [] : [`${answer.what} was not answered in ${Math.round(answer.ms)} ms`];
    if (answer.status >= 200 && answer.status < 300) return [];
    const wrong = wrongWith(answer);
    return wrong === null ? [] : [`${answer.what} was refused with ${answer.status} ${wrong}: ${quoted(answer.body)}`];
  });
}

function wrongWith({ status, ms, body }: Answer): string | null {
  if (ms > REFUSAL_MS_MAX) return `after ${Math.round(ms)} ms, ${REFUSAL_MS_MAX} at most`;
  let problem: {
    code?: unknown;
    message?: unknown;
    details?: { reason?: unknown; hint?: unknown; retryable?: unknown } | null;
  };
  try {
    problem = JSON.parse(body);
  } catch {
    return "and no JSON";
  }
  const { code, message, details } = problem;
  if (status === 401) return "though its key is valid";
  if (typeof code !== "string" || typeof message !== "string") return "and is not in Encore's form";
  if (typeof details?.reason !== "string" || typeof details.hint !== "string") return "and has no reason or no hint";
  if (CLIENTS_OWN.includes(code)) return null;
  if (code === "resource_exhausted") return null; // the hint says what of
  if (code !== "unavailable") return `and code ${code}, which says nothing about trying again`;
  return details.retryable === true ? null : "and does not say whether to try again";
}

/** I6: an organization's word in what another was told, or in what another's models were asked. */
export function foreignWords({ canaries, answers, readings, asked }: History): string[] {
  const found: string[] = [];
  const look = (orgId: string, what: string, text: string) => {
    for (const canary of canaries)
      if (canary.orgId !== orgId && text.includes(canary.word))
        found.push(`${what} of ${orgId} has the word of ${canary.orgId}: ${around(text, canary.word)}`);
  };
  for (const { orgId, what, body } of answers) look(orgId, what, body);
  for (const { orgId, who, threadId, journal } of readings)
    look(orgId, `${who} of ${threadId}`, JSON.stringify([journal.entries, ...journal.texts.values()]));
  for (const { orgId, text } of asked) look(orgId, "a model", text);
  return found;
}

/** I6: not there and not yours are one answer. */
export function differently({ probes }: History): string[] {
  return probes
    .filter(({ foreign, missing }) => foreign !== missing)
    .map(
      ({ what, foreign, missing }) =>
        `${what}: another's is answered ${quoted(foreign)}, a missing one ${quoted(missing)}`,
    );
}

/** Letta's ids are a noun and a UUID; ours a noun and a TypeID. */
const LETTA_ID =
  /\b(?:agent|conv|run|step|user|org|identity|block|archive|message|tool|source|letta-[a-z]+)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/;
const SQL =
  /\b(?:select\s.{1,80}\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s)|\b(?:relation|constraint|column) \\?"|row-level security|violates .{1,40} constraint/is;

/**
 * I9. In the log, which is not public, people's text is a secret as well; Letta's ids are none, nor is the statement that a database names
 * when it is stopped in the middle of one: it has no values.
 */
export function secretsShown({ secrets, canaries, answers, readings, printed }: History): string[] {
  const found: string[] = [];
  const look = (what: string, text: string, isLog: boolean) => {
    for (const { name, value } of secrets) if (text.includes(value)) found.push(`${what} has ${name}`);
    const sql = isLog ? null : SQL.exec(text);
    if (sql) found.push(`${what} has SQL: ${around(text, sql[0])}`);
    const letta = isLog ? null : LETTA_ID.exec(text);
    if (letta) found.push(`${what} has an id of Letta's: ${around(text, letta[0])}`);
    if (!isLog) return;
    for (const { word } of canaries)
      if (text.includes(word)) found.push(`${what} has what people wrote: ${around(text, word)}`);
  };
  for (const { what, body } of answers) look(what, body, false);
  for (const { who, threadId, journal } of readings)
    look(`${who} of ${threadId}`, JSON.stringify([journal.entries, ...journal.texts.values()]), false);
  for (const { where, text } of printed) look(where, text, true);
  return found;
}

function quoted(text: string): string {
  return text.length <= QUOTED_CHARS_MAX ? text : `${text.slice(0, QUOTED_CHARS_MAX)}…`;
}

function around(text: string, part: string): string {
  const at = text.indexOf(part);
  return text.slice(Math.max(0, at - QUOTED_CHARS_MAX / 2), at + part.length + QUOTED_CHARS_MAX / 2);
}
