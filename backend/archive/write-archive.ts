import { createHash } from "node:crypto";
import type { Tx } from "../db/tenant";
import { canonicalJson, type Json } from "../lib/canonical-json";
import { archivedHead } from "./audit";
import { type End, FORMAT, LINE_BYTES_MAX, VERSION } from "./format";
import { readPages } from "./read-pages";
import { ARCHIVED } from "./tables";

/**
 * Writes the organization's archive, line by line, as it was at the moment that `tx` sees. `write` resolves when more can be taken, so no more
 * than a page is in memory; what it throws ends the archive, without an end.
 */
export async function writeArchive(tx: Tx, orgId: string, write: (line: Buffer) => Promise<void>): Promise<End> {
  const hash = createHash("sha256");
  const put = (value: Json) => {
    const line = Buffer.from(`${canonicalJson(value)}\n`);
    if (line.length > LINE_BYTES_MAX) throw new Error("a row is too large for an archive");
    hash.update(line);
    return write(line);
  };
  await put({ format: FORMAT, organization_id: orgId, version: VERSION });
  const audit = await archivedHead(tx, orgId);
  const counts: Record<string, number> = {};
  for (const table of Object.keys(ARCHIVED)) {
    counts[table] = 0;
    for await (const page of readPages(tx, orgId, table)) {
      for (const row of page) {
        if (table === "audit_entries" && Number(row.seq) > (audit?.seq ?? 0)) continue;
        await put({ row, table });
        counts[table]++;
      }
    }
  }
  const end: End = { audit, counts, sha256: hash.digest("hex") };
  await write(Buffer.from(`${canonicalJson({ end } as unknown as Json)}\n`));
  return end;
}
