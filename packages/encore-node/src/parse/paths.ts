import type { PathSegment } from "../meta.js";

/** An endpoint's path as segments, or the sentence that says what is wrong with it (the rules of Encore's `respath`). */
export function parsePath(path: string): PathSegment[] | string {
  if (path === "") return "The path is empty; it must start with '/'.";
  if (!path.startsWith("/")) return `The path "${path}" must start with '/'.`;
  if (path.includes("?"))
    return `The path "${path}" must not hold a query ('?'); declare query fields in the request type.`;
  if (path.includes("#")) return `The path "${path}" must not hold a fragment ('#').`;
  if (path.startsWith("//")) return `The path "${path}" must not hold a host.`;
  const parts = path.slice(1).split("/");
  const segments: PathSegment[] = [];
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    const sigil = part[0];
    const name = part.slice(1);
    if (part === "" && parts.length > 1) return `The path "${path}" holds an empty segment.`;
    if (sigil === ":" || sigil === "*" || sigil === "!") {
      if (name === "") return `The path "${path}" holds a parameter without a name.`;
      if (sigil !== ":" && !last)
        return `The ${sigil === "*" ? "wildcard" : "fallback"} "${part}" must be at the end of the path "${path}".`;
      if (segments.some((segment) => segment.kind !== "literal" && segment.name === name))
        return `The path "${path}" names the parameter "${name}" twice.`;
    }
    if (sigil === ":") segments.push({ kind: "param", name, type: "string" });
    else if (sigil === "*") segments.push({ kind: "wildcard", name });
    else if (sigil === "!") segments.push({ kind: "fallback", name });
    else segments.push({ kind: "literal", value: part });
  }
  return segments;
}

const SIGILS = { literal: "", param: ":", wildcard: "*", fallback: "!" };

/** The path in Encore's notation again. */
export function formatPath(path: PathSegment[]): string {
  const text = (segment: PathSegment) => (segment.kind === "literal" ? segment.value : segment.name);
  return path.map((segment) => `/${SIGILS[segment.kind]}${text(segment)}`).join("");
}
