import type { AppMeta, RequestField } from "../../meta.js";
import { parseDoc } from "./doc-comment.js";

type Requirement = Record<string, string[]>;

/** The auth handler's fields as security schemes, and the ways to satisfy it. */
export function security(meta: AppMeta): { schemes: Record<string, unknown>; ways: Requirement[] } {
  const params = meta.gateway?.authHandler?.params ?? [];
  const schemes = Object.fromEntries(params.map((field) => [field.name, scheme(field)]));
  const required = params.filter((field) => !field.optional).map((field): [string, string[]] => [field.name, []]);
  const optional = params.filter((field) => field.optional);
  // Required fields belong to every way; each optional one is a way of its own.
  const ways = optional.map((field): Requirement => Object.fromEntries([...required, [field.name, []]]));
  return { schemes, ways: ways.length > 0 || required.length === 0 ? ways : [Object.fromEntries(required)] };
}

function scheme(field: RequestField): Record<string, unknown> {
  const { description } = parseDoc(field.doc);
  const about = description ? { description } : {};
  const place = field.place.in === "auto" ? "query" : field.place.in;
  if (place === "header" && field.place.name.toLowerCase() === "authorization")
    return { type: "http", scheme: "bearer", ...about };
  return { type: "apiKey", in: place, name: field.place.name, ...about };
}
