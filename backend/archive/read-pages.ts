import type { Tx } from "../db/tenant";
import type { Row } from "./format";
import { COLUMN_TYPE, readAs } from "./kinds";
import { ARCHIVED, type ArchivedTable } from "./tables";

/** Rows in one page, and of tables whose rows hold texts of any length. */
const PAGE_ROWS = 500;
const PAGE_HEAVY_ROWS = 50;
/** Of a page no more is taken than this, but for its first row: what is not taken is read again. */
const PAGE_BYTES = 2 << 20;

/**
 * All of the organization's rows of one table that an archive holds, in the order of its key, a page at a time. `tx` sees one moment
 * (`tenantSnapshot`), so that the pages fit each other.
 */
export async function* readPages(tx: Tx, orgId: string, table: string): AsyncGenerator<Row[]> {
  const spec = ARCHIVED[table];
  if (!spec) throw new Error(`an archive holds nothing of ${table}`);
  let after: (string | number)[] | null = null;
  for (;;) {
    const found: { row: string }[] = await tx.rawQueryAll<{ row: string }>(
      pageOf(table, spec, after !== null),
      orgId,
      spec.isHeavy ? PAGE_HEAVY_ROWS : PAGE_ROWS,
      PAGE_BYTES,
      ...(after ?? []),
    );
    if (found.length === 0) return;
    const rows = found.map(({ row }) => exact(JSON.parse(row) as Row, spec));
    yield rows;
    if (spec.key.length === 0) return; // one row an organization
    after = spec.key.map((column) => rows.at(-1)?.[column] as string | number);
  }
}

/** $1 organization, $2 rows, $3 bytes, then the key of the row before. */
function pageOf(table: string, { columns, key, where, isHeavy: _ }: ArchivedTable, isNext: boolean): string {
  const fields = Object.entries(columns).map(([name, kind]) => `'${name}', ${readAs(kind, `t."${name}"`)}`);
  const keys = key.map((column) => ordered(column, columns));
  const from = key.map((column, index) => {
    const kind = columns[column] ?? "text";
    return `$${index + 4}::${COLUMN_TYPE[kind]}`;
  });
  const conditions = [
    "t.org_id = $1",
    ...(where ? [where] : []),
    ...(isNext ? [`(${keys.join(", ")}) > (${from.join(", ")})`] : []),
  ];
  const order = keys.length === 0 ? "t.org_id" : keys.join(", ");
  return `
    select row from (
      select n, row, sum(octet_length(row)) over (order by n) - octet_length(row) as before from (
        select row_number() over (order by ${order}) as n, jsonb_build_object(${fields.join(", ")})::text as row
        from "${table}" t where ${conditions.join(" and ")} order by ${order} limit $2::int) page) sized
    where before < $3::bigint order by n`;
}

/** Ids sort alike in every collation; other texts would not, and the bytes of an archive must not depend on the server's. */
function ordered(column: string, columns: ArchivedTable["columns"]): string {
  return columns[column] === "text" ? `t."${column}" collate "C"` : `t."${column}"`;
}

/** JSON's numbers are exact up to 53 bits: one beyond would be another number in the archive. */
function exact(row: Row, { columns }: ArchivedTable): Row {
  for (const [name, kind] of Object.entries(columns)) {
    const value = row[name];
    if ((kind === "bigint" || kind === "int") && value !== null && !Number.isSafeInteger(value))
      throw new Error(`${name} is too large a number for an archive`);
  }
  return row;
}
