import { type Document, endpointsOf } from "./document";
import { type Finding, finding } from "./finding";
import { send } from "./http";
import { fillPath } from "./ids";
import type { Party } from "./party";

/** What every successful answer says to a browser, so that one caller's data is neither kept, nor framed, nor taken for something else. */
const WANTED: [name: string, fits: RegExp][] = [
  ["x-content-type-options", /^nosniff$/],
  ["content-security-policy", /frame-ancestors 'none'/],
  ["referrer-policy", /^no-referrer$/],
];
const PRIVATE = /\b(no-store|no-cache|private)\b/;

/** The headers of every answer that can be read. */
export async function attackHeaders(
  document: Document,
  { url, key, ids }: Party,
): Promise<{ tried: number; findings: Finding[] }> {
  const findings: Finding[] = [];
  let tried = 0;
  for (const { method, path, operation, isSocket, isPublic } of endpointsOf(document)) {
    if (method !== "GET" || isSocket) continue;
    const filled = fillPath(path, ids, () => "1");
    const required = (operation.parameters ?? []).filter((given) => given.in === "query" && given.required);
    const query = required
      .map(({ name, example }) => `${name}=${encodeURIComponent(String(example ?? "x"))}`)
      .join("&");
    const { status, headers } = await send(url, { method, path: query ? `${filled}?${query}` : filled, key });
    if (status !== 200) continue;
    tried++;
    const header = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(headers)?.[1] ?? "";
    for (const [name, fits] of WANTED) {
      if (!fits.test(header(name))) findings.push(finding(`GET ${path}`, `has no proper ${name}`, headers));
    }
    if (!isPublic && !PRIVATE.test(header("cache-control")))
      findings.push(finding(`GET ${path}`, "may be kept by a cache", headers));
  }
  return { tried, findings };
}
