import { ErrCode } from "encore.dev/api";
import { invalid, problem } from "../lib/errors";
import { ARCHIVE_BYTES_MAX, ARCHIVE_MS_MAX, LINE_BYTES_MAX, VERSION } from "./format";
import type { BadLines } from "./read-lines";

/** Why an archive is not taken in. Nothing of it is kept. Each says where, and nothing of what stands there. */

const ANOTHER = "Take the archive as GET /export gave it, or make another one.";

export const notAnArchive = () =>
  invalid("not_an_archive", "This is no archive of an organization.", ANOTHER, { context: null });

export const otherVersion = (version: unknown) =>
  invalid(
    "archive_version",
    "This archive is of another version.",
    `This Graphyn reads version ${VERSION} (details.reads): import it into the one that wrote it, and update that.`,
    { version: typeof version === "number" ? version : null, reads: VERSION, context: null },
  );

export const notWhole = () =>
  invalid("archive_not_whole", "This archive was cut off: its end is missing.", ANOTHER, { context: null });

export const badLine = (line: number, what: string) =>
  invalid("archive_bad_row", `Line ${line} of the archive is not right: ${what}.`, ANOTHER, { line, context: null });

export const damaged = (what: string) =>
  invalid("archive_damaged", `The archive's end does not fit the rest: ${what}.`, ANOTHER, { context: null });

export const auditBroken = (seq: number, how: string) =>
  invalid(
    "archive_audit_broken",
    `The audit log in the archive does not hold: entry ${seq} (${how}).`,
    "Somebody has changed the archive, or the log before it was exported: GET /audit/verify there says more.",
    { seq, how, context: null },
  );

export const tooLarge = () =>
  invalid(
    "archive_too_large",
    "The archive is larger than this Graphyn takes in.",
    "details has the limits, of a line and of all.",
    { line_bytes_max: LINE_BYTES_MAX, bytes_max: ARCHIVE_BYTES_MAX, context: null },
  );

export const tooSlow = () =>
  problem(
    ErrCode.Aborted,
    "archive_too_slow",
    "The archive did not arrive, or could not be written, in the time that an import may take.",
    "Send it from nearer by, or when less else is going on: details.ms_max is what there is.",
    { ms_max: ARCHIVE_MS_MAX, context: null },
  );

export const organizationExists = () =>
  problem(
    ErrCode.AlreadyExists,
    "organization_exists",
    "The archive's organization is here already.",
    "An archive keeps its ids and so can be taken in once: into a Graphyn where the organization is not.",
    { context: null },
  );

export const organizationErased = () =>
  problem(
    ErrCode.FailedPrecondition,
    "organization_erased",
    "The archive's organization was erased here.",
    "What was erased is not brought back.",
    { context: null },
  );

/** The answer to a body that could not be read. */
export function refusalOf({ why, line }: BadLines) {
  switch (why) {
    case "cut_off":
      return notWhole();
    case "too_large":
      return tooLarge();
    case "too_slow":
      return tooSlow();
    case "no_utf8":
      return badLine(line, "it is no UTF-8");
  }
}

export const importRunning = () =>
  problem(ErrCode.ResourceExhausted, "too_many_imports", "Another import is under way.", "Try again when it is done.", {
    context: null,
  });
