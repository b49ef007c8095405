import type { JsonSchema } from "./json-schema.js";

/** Encore's error codes by the status each is answered with (`encore.dev/api`, "API Errors"; recorded as error-*). */
const CODES: Record<string, string[]> = {
  "400": ["invalid_argument", "failed_precondition", "out_of_range"],
  "401": ["unauthenticated"],
  "403": ["permission_denied"],
  "404": ["not_found"],
  "409": ["already_exists", "aborted"],
  "429": ["resource_exhausted"],
  "499": ["canceled"],
  "500": ["internal", "unknown", "data_loss"],
  "501": ["unimplemented"],
  "503": ["unavailable"],
  "504": ["deadline_exceeded"],
};

const MEANINGS: Record<string, string> = {
  invalid_argument: "The request does not fit: a field is missing, malformed or out of bounds",
  failed_precondition: "The state of things does not allow it now",
  out_of_range: "A value is past the valid range",
  unauthenticated: "Credentials are missing or invalid",
  permission_denied: "The caller may not do this",
  not_found: "There is no such thing, or none the caller may see",
  already_exists: "What was to be created exists already",
  aborted: "The request conflicts with another one",
  resource_exhausted: "A quota or rate limit is used up",
  canceled: "The caller went away",
  internal: "Something went wrong on the server",
  unknown: "Something went wrong on the server",
  data_loss: "Data was lost or is corrupt",
  unimplemented: "This is not implemented",
  unavailable: "The service is not available now; try again",
  deadline_exceeded: "It took too long",
};

/** The status a code is answered with; undefined for what is no code of Encore's. */
export function statusOf(code: string): string | undefined {
  return Object.keys(CODES).find((status) => CODES[status]?.includes(code));
}

export function meaningOf(code: string): string {
  return MEANINGS[code] ?? code;
}

/** `{code, message, details}`, the body of every error. */
export function errorSchema(): JsonSchema {
  return {
    type: "object",
    description: "Every error has this form.",
    properties: {
      code: { enum: Object.values(CODES).flat(), description: "What kind of error it is, for programs." },
      message: { type: "string", description: "What went wrong, for people." },
      details: { description: "More about it, if there is more; null otherwise." },
    },
    required: ["code", "message", "details"],
  };
}

/** One response for each status an error can have, for `components.responses`: `Error404` and so on. */
export function errorResponses(schema: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(CODES).map(([status, codes]) => [
      `Error${status}`,
      {
        description: codes.map((code) => `\`${code}\`: ${meaningOf(code)}.`).join("\n\n"),
        content: {
          "application/json": {
            schema: { allOf: [{ $ref: schema }, { properties: { code: { enum: codes } } }] },
            examples: Object.fromEntries(
              codes.map((code) => [code, { value: { code, message: meaningOf(code), details: null } }]),
            ),
          },
        },
      },
    ]),
  );
}

export const errorStatuses = Object.keys(CODES);
