import { APIError } from "encore.dev/api";
import { checkTools } from "../agents/tools";
import type { AuditRow } from "../audit/entry";
import { orAway } from "../db/away";
import type { Tx } from "../db/tenant";
import { appendArchived, breakIn, endsThere, entriesOf } from "./audit";
import type { Row } from "./format";
import { WRITTEN_AS } from "./kinds";
import { type ParsedEnd, type ParsedRow, parseArchive } from "./parse-archive";
import type { Line } from "./read-lines";
import { auditBroken, badLine, damaged } from "./refused";
import { ARCHIVED } from "./tables";

/** Rows written by one statement. */
const BATCH_ROWS = 500;
const BATCH_BYTES = 4 << 20;

/**
 * Writes an archive's rows as those of this organization, in the caller's transaction: all or, where anything is wrong, none. Whose they are
 * is said here and by no row; row-level security and the foreign keys, which all have the organization in them, hold each to it.
 */
export async function takeArchive(tx: Tx, orgId: string, first: Line, lines: AsyncIterator<Line>): Promise<ParsedEnd> {
  // A row may refer to a later one of its table: threads to what they were forked into, turns to what they join.
  await tx.exec`set constraints all deferred`;
  await tx.exec`select set_config('graphyn.importing', 'on', true)`;
  let batch: ParsedRow[] = [];
  let bytes = 0;
  let last: AuditRow | null = null;
  const flush = async () => {
    const [one] = batch;
    if (!one) return;
    const rows = batch.map(({ row }) => row);
    if (one.table === "audit_entries") {
      const entries = entriesOf(rows);
      const broken = breakIn(orgId, last, entries);
      if (broken) throw auditBroken(broken.seq, broken.how);
      last = entries.at(-1) ?? last;
    }
    await write(tx, orgId, one.table, rows).catch((error: unknown) => {
      throw blameArchive(error, badLine(one.line, "the database refuses it, or one of the next rows of its table"));
    });
    batch = [];
    bytes = 0;
  };
  const end = await parseArchive(lines, first, async (row) => {
    if (batch.length >= BATCH_ROWS || bytes >= BATCH_BYTES || (batch[0] && batch[0].table !== row.table)) await flush();
    if (row.table === "agent_versions") requireTools(row);
    batch.push(row);
    bytes += row.bytes;
  });
  await flush();
  if (!endsThere(orgId, last, end.audit)) throw auditBroken((end.audit?.seq ?? 0) + 1, "head");
  await tx.exec`set constraints all immediate`.catch((error: unknown) => {
    throw blameArchive(error, damaged("rows refer to others that are not there"));
  });
  return end;
}

async function write(tx: Tx, orgId: string, table: string, rows: Row[]): Promise<void> {
  if (table === "audit_entries") {
    await tx.exec`select from lock_audit_head()`;
    return appendArchived(tx, rows);
  }
  const spec = ARCHIVED[table];
  if (!spec) throw new Error(`an archive holds nothing of ${table}`);
  const columns = Object.entries(spec.columns);
  const set = Object.entries(spec.set ?? {});
  const names = ["org_id", ...columns.map(([name]) => `"${name}"`), ...set.map(([name]) => `"${name}"`)];
  const values = [
    "$1",
    ...columns.map(([name, kind]) => `r."${name}"${WRITTEN_AS[kind].cast}`),
    ...set.map(([, sql]) => sql),
  ];
  const types = columns.map(([name, kind]) => `"${name}" ${WRITTEN_AS[kind].type}`);
  const conflict =
    table === "organizations"
      ? "on conflict (org_id) do update set name = excluded.name, created_at = excluded.created_at"
      : "";
  await tx.rawExec(
    `insert into "${table}" (${names.join(", ")}) select ${values.join(", ")}
     from jsonb_to_recordset($2::text::jsonb) as r(${types.join(", ")}) ${conflict}`,
    orgId,
    JSON.stringify(rows),
  );
}

/** What the database refuses is the archive's fault, unless the database is away. */
function blameArchive(error: unknown, refusal: APIError): unknown {
  const known = orAway(error);
  return known instanceof APIError ? known : refusal;
}

function requireTools({ line, row }: ParsedRow): void {
  try {
    checkTools(row.tools as string[]);
  } catch {
    throw badLine(line, "it has a tool that no agent may have");
  }
}
