import { type Document, type Endpoint, holdsText, resolved, type Schema } from "./document";
import type { Request } from "./http";
import { type Ids, kindOf, nobodys } from "./ids";
import type { Party } from "./party";

/** One request with an id of the other organization at one place, and the same with one that nobody has. */
export interface Trial {
  /** What is tried, for people. */
  name: string;
  foreign: Request;
  missing: Request;
  /** Which texts stand for each other in the two. */
  sent: { foreign: string[]; missing: string[] };
  /** What the request does is done twice, so that only a refusal for the value itself counts. */
  isKey?: true;
}

/** What of the attacker's own the rest of a request is filled with, so that only the one place is wrong. */
export interface Own {
  ids: Ids;
  /** A key that the request is sent with. */
  key: string;
}

/** Kinds that are tried where a name does not tell which one belongs there. */
const ANY_KIND = ["thread", "msg", "agent", "user"];
/** Every trial of one endpoint: each place where a text can stand, with each kind of id that fits. */
export function trialsOf(document: Document, { method, path, operation }: Endpoint, victim: Party, own: Own): Trial[] {
  const base = baseRequest(document, { method, path, operation }, own);
  const trials: Trial[] = [];
  const add = (place: string, values: string[], put: (request: Base, value: string) => Base) => {
    for (const value of values) {
      const other = nobodys(value);
      trials.push({
        name: `${method} ${path}: ${place}`,
        foreign: build(put(base, value)),
        missing: build(put(base, other)),
        sent: { foreign: [value], missing: [other] },
      });
    }
  };
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  for (const name of inPath) {
    add(`${name} in the path`, valuesFor(name, path, victim), (request, value) => ({
      ...request,
      params: { ...request.params, [name]: value },
    }));
  }
  if (inPath.length > 1) trials.push(allForeign(method, path, base, inPath, victim));
  for (const { name, in: place, schema } of operation.parameters ?? []) {
    if (place === "query" && holdsText(document, schema)) {
      add(`${name} in the query`, valuesFor(name, path, victim), (request, value) => ({
        ...request,
        query: { ...request.query, [name]: value },
      }));
    }
    // A key that the victim has used, each once: used again, it would be the attacker's own that is known.
    const used = /^idempotency-key$/i.test(name) ? victim.ids.idempotency?.shift() : undefined;
    if (place === "header" && used !== undefined) {
      add(`the header ${name}`, [used], (request, value) => ({
        ...request,
        headers: { ...request.headers, [name]: value },
      }));
      const trial = trials.at(-1);
      if (trial) trial.isKey = true;
    }
  }
  if (path.endsWith("/stream")) {
    add("Last-Event-ID", (victim.ids.cursor ?? []).slice(0, 2), (request, value) => ({
      ...request,
      headers: { ...request.headers, "Last-Event-ID": value },
    }));
  }
  for (const [name, schema] of Object.entries(bodySchema(document, operation).properties ?? {})) {
    const held = holdsText(document, schema);
    if (held === null) continue;
    add(`${name} in the body`, valuesFor(name, path, victim), (request, value) => ({
      ...request,
      body: { ...request.body, [name]: held === "texts" ? [value] : value },
    }));
  }
  return trials;
}

interface Base {
  method: string;
  path: string;
  key: string;
  params: Record<string, string>;
  query: Record<string, string>;
  headers: Record<string, string>;
  body: Record<string, unknown> | undefined;
}

function baseRequest(
  document: Document,
  { method, path, operation }: Pick<Endpoint, "method" | "path" | "operation">,
  own: Own,
): Base {
  const ownFor = (name: string, fallback: unknown) => {
    const kind = kindOf(name, path, own.ids);
    return String((kind ? own.ids[kind]?.[0] : undefined) ?? fallback ?? "x");
  };
  const given = operation.parameters ?? [];
  const params = Object.fromEntries(
    given.filter((p) => p.in === "path").map((p) => [p.name, ownFor(p.name, p.example)]),
  );
  const query = Object.fromEntries(
    given.filter((p) => p.in === "query" && p.required).map((p) => [p.name, String(p.example ?? "x")]),
  );
  const { properties = {}, required = [] } = bodySchema(document, operation);
  const example = (operation.requestBody?.content["application/json"]?.example ?? {}) as Record<string, unknown>;
  const filled = required.map((name) => {
    const held = holdsText(document, properties[name]);
    const value = kindOf(name, path, own.ids) && held ? ownFor(name, example[name]) : example[name];
    return [name, held === "texts" && typeof value === "string" ? [value] : value] as const;
  });
  const body = operation.requestBody ? Object.fromEntries(filled) : undefined;
  return { method, path, key: own.key, params, query, headers: {}, body };
}

function bodySchema(document: Document, operation: Endpoint["operation"]): Schema {
  return resolved(document, operation.requestBody?.content["application/json"]?.schema);
}

/** Ids of the victim that fit a place; one of several kinds where the name of the place does not tell. */
function valuesFor(name: string, path: string, { ids, given }: Party): string[] {
  const kind = kindOf(name, path, ids);
  if (kind !== null) return (ids[kind] ?? []).slice(0, 2);
  // A title, say, keeps what it is given: so the last of each kind, which is not looked for from then on.
  return ANY_KIND.flatMap((one) => {
    const id = (ids[one]?.length ?? 0) > 2 ? ids[one]?.at(-1) : undefined;
    if (id === undefined) return [];
    given.add(id);
    return [id];
  });
}

/** All of a path at once: the other organization's thread with its own message in it. */
function allForeign(method: string, path: string, base: Base, names: string[], victim: Party): Trial {
  const foreign = Object.fromEntries(names.map((name) => [name, valuesFor(name, path, victim)[0] ?? "1"]));
  const missing = Object.fromEntries(
    names.map((name) => [
      name,
      /^\d+$/.test(foreign[name] ?? "") ? (foreign[name] ?? "") : nobodys(foreign[name] ?? ""),
    ]),
  );
  return {
    name: `${method} ${path}: all of the path`,
    foreign: build({ ...base, params: { ...base.params, ...foreign } }),
    missing: build({ ...base, params: { ...base.params, ...missing } }),
    sent: { foreign: Object.values(foreign), missing: Object.values(missing) },
  };
}

function build({ method, path, key, params, query, headers, body }: Base): Request {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? "x"));
  const search = new URLSearchParams(query).toString();
  return { method, path: search ? `${filled}?${search}` : filled, key, headers, ...(body ? { body } : {}) };
}
