import type { Json } from "../lib/canonical-json";

/**
 * The archive of an organization: lines of canonical JSON (RFC 8785), each ended by a line feed. docs/export.md describes it.
 *
 *   {"format":"graphyn.organization","organization_id":"org_…","version":1}
 *   {"row":{…},"table":"organizations"}   one for each row, in the order of tables.ts, in each table in the order of its key
 *   {"end":{…}}                           or {"cut":{…}}, or nothing at all, where it is not whole
 */
export const FORMAT = "graphyn.organization";
/** Rises with every change of what the lines mean: tables.ts and kinds.ts. */
export const VERSION = 1;

/** One row. The largest that Graphyn stores is a capture with an answer of 1 000 000 characters. */
export const LINE_BYTES_MAX = 8 << 20;
/** All of an archive. */
export const ARCHIVE_BYTES_MAX = 8 * 2 ** 30;
/** From the first byte to the last, on either side; a request of five minutes is cut by the host. */
export const ARCHIVE_MS_MAX = Number(process.env.GRAPHYN_ARCHIVE_MS_MAX) || 280_000;

export type Row = { [column: string]: Json };

export interface Header {
  format: string;
  organization_id: string;
  version: number;
}

/** The last line of a whole archive. */
export interface End {
  /** The last entry of the audit log that is in it, sealed by the server that wrote it; null where there is none. */
  audit: ArchivedHead | null;
  /** Rows of each table, also of those that have none. */
  counts: Record<string, number>;
  /** SHA-256 of all bytes before this line, hexadecimal. */
  sha256: string;
}

/** The end of an archived audit log. */
export interface ArchivedHead {
  seq: number;
  /** Says which of a server's audit keys sealed it. */
  key_id: string;
  /** HMAC-SHA-256, hexadecimal: audit/entry.ts. */
  seal: string;
}

/** Why an archive ends before its end. */
export type Cut = "too_large" | "too_slow" | "reader_too_slow" | "credential_ended" | "server_ends" | "failed";
