/** Database errors as Encore's driver prints them: short while a statement is prepared, in full once it runs. */

import type { DatabaseError } from "pg";
import { rustString } from "../schema/text.js";

const STANDARD_CLASS = /^(0[01238ABFLPZ]|0[9]|2[0-8BDF]|3[489BDF]|4[024]|5[3-8]|72|F0|HV|P0|XX)/;
const UNKNOWN_CODE = /^P0(?!00[0-4])/;

/** Data exceptions and broken constraints: their detail and context quote the row, which may hold what people wrote. */
const QUOTES_A_ROW = /^2[23]/;

/**
 * `tokio_postgres::Error` with `{}`. Handlers' errors reach the log: so `quoteRows` is for the local environment only, and without it
 * the detail of errors that quote a row is left out.
 */
export function shortMessage(e: unknown, quoteRows: boolean): string {
  if (!isDatabaseError(e)) return e instanceof Error ? `error communicating with the server: ${e.message}` : String(e);
  let out = `db error: ${e.severity}: ${e.message}`;
  if (e.detail && mayTell(e, quoteRows)) out += `\nDETAIL: ${e.detail}`;
  if (e.hint) out += `\nHINT: ${e.hint}`;
  return out;
}

/** `{:#?}` of the same (recording `db-dup`). */
export function fullMessage(e: unknown, quoteRows: boolean): string {
  if (!isDatabaseError(e)) return shortMessage(e, quoteRows);
  const telling = mayTell(e, quoteRows);
  const text = (v: string | undefined): string =>
    v === undefined ? "None" : `Some(\n                ${rustString(v)},\n            )`;
  const bare = (v: string | undefined): string =>
    v === undefined ? "None" : `Some(\n                ${v},\n            )`;
  const code = e.code ?? "";
  const sqlState =
    STANDARD_CLASS.test(code) && !UNKNOWN_CODE.test(code)
      ? `E${code}`
      : `Other(\n                    ${rustString(code)},\n                )`;
  const severity = (e.severity ?? "ERROR").charAt(0) + (e.severity ?? "ERROR").slice(1).toLowerCase();
  const position =
    e.position === undefined
      ? "None"
      : `Some(\n                Original(\n                    ${e.position},\n                ),\n            )`;
  const fields = [
    `severity: ${rustString(e.severity ?? "")}`,
    `parsed_severity: ${bare(severity)}`,
    `code: SqlState(\n                ${sqlState},\n            )`,
    `message: ${rustString(e.message)}`,
    `detail: ${text(telling ? e.detail : undefined)}`,
    `hint: ${text(e.hint)}`,
    `position: ${position}`,
    `where_: ${text(telling ? e.where : undefined)}`,
    `schema: ${text(e.schema)}`,
    `table: ${text(e.table)}`,
    `column: ${text(e.column)}`,
    `datatype: ${text(e.dataType)}`,
    `constraint: ${text(e.constraint)}`,
    `file: ${text(e.file)}`,
    `line: ${bare(e.line)}`,
    `routine: ${text(e.routine)}`,
  ];
  const body = fields.map((f) => `            ${f},\n`).join("");
  return `Error {\n    kind: Db,\n    cause: Some(\n        DbError {\n${body}        },\n    ),\n}`;
}

function mayTell(e: DatabaseError, quoteRows: boolean): boolean {
  return quoteRows || !QUOTES_A_ROW.test(e.code ?? "");
}

export function isDatabaseError(e: unknown): e is DatabaseError {
  return e instanceof Error && typeof (e as { severity?: unknown }).severity === "string";
}

/** What reaches JavaScript: a plain Error with the bindings' status as its code. */
export function driverError(message: string): Error {
  return Object.assign(new Error(message), { code: "GenericFailure" });
}
