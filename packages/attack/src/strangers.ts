import { type Document, endpointsOf } from "./document";
import { type Finding, finding, leaked, leakIn } from "./finding";
import { send } from "./http";
import { kindOf } from "./ids";
import type { Party } from "./party";

/**
 * Every endpoint with keys that are none: refused, all with one answer, whatever is asked for. (Without any key Encore itself answers, in
 * words of its own.)
 */
export async function attackWithoutKey(
  document: Document,
  victim: Party,
): Promise<{ tried: number; findings: Finding[] }> {
  const findings: Finding[] = [];
  let tried = 0;
  const { key } = victim;
  const last = key.at(-1) === "0" ? "1" : "0";
  const credentials: Record<string, Record<string, string>> = {
    "an unknown key": { authorization: `Bearer ${key.slice(0, -72)}${"0".repeat(64)}${key.slice(-8)}` },
    "a mistyped key": { authorization: `Bearer ${key.slice(0, -1)}${last}` },
    "a token that nobody signed": { authorization: `Bearer ${unsigned(victim)}` },
  };
  for (const { method, path, isPublic, isSocket } of endpointsOf(document)) {
    if (isSocket) continue;
    const filled = path.replace(
      /\{(\w+)\}/g,
      (_, name: string) => victim.ids[kindOf(name, path, victim.ids) ?? ""]?.[0] ?? "1",
    );
    const answers: string[] = [];
    for (const [with_, headers] of Object.entries(credentials)) {
      tried++;
      const body = method === "GET" || method === "DELETE" ? undefined : {};
      const { status, text } = await send(victim.url, { method, path: filled, key: null, headers, body });
      const at = `${method} ${path} with ${with_}`;
      const leak = leakIn(victim, text, [filled]);
      if (leak) findings.push(leaked(at, leak, text));
      if (isPublic) continue;
      if (status !== 401) findings.push(finding(at, `answers ${status} instead of 401`, text));
      answers.push(text);
    }
    if (new Set(answers).size > 1) {
      findings.push(
        finding(`${method} ${path}`, "tells one wrong key from another", [...new Set(answers)].join("\n---\n")),
      );
    }
  }
  return { tried, findings };
}

/** A JSON Web Token of algorithm `none` that claims to be of the victim's organization. */
function unsigned(victim: Party): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1_000) + 3_600;
  const claims = { sub: victim.ids.user?.[0], org_id: victim.ids.org?.[0], org_role: "org:admin", exp };
  return `${part({ alg: "none", typ: "JWT" })}.${part(claims)}.`;
}
