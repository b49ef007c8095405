import { createHash } from "node:crypto";
import { middleware } from "encore.dev/api";

/**
 * What every answer tells a browser: that it is what its type says, is shown in no frame, tells nobody where it was read, and, being one
 * caller's, is kept nowhere. (Encore lets no header be set on the error of a typed endpoint; such an error holds nobody's data.)
 * https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers
 */
const HEADERS = {
  "X-Content-Type-Options": "nosniff",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-store",
} as const;

/** For every service with endpoints. A raw endpoint may set its own in place of these. */
export const secured = middleware({}, async (request, next) => {
  const { rawResponse } = request;
  if (rawResponse) {
    for (const [name, value] of Object.entries(HEADERS)) rawResponse.setHeader(name, value);
    return next(request);
  }
  const response = await next(request);
  if (!request.stream) for (const [name, value] of Object.entries(HEADERS)) response.header.set(name, value);
  return response;
});

/** The policy of a page of ours: its own files, this one script in it, styles that its script sets, and requests to this server. */
export function pagePolicy(inlineScript: string): string {
  const hash = createHash("sha256").update(inlineScript).digest("base64");
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}
