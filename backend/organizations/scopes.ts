/**
 * What an API key may do, as its owner chose when making it: `resource:action`, or `resource:<id>:action` for one thread's or agent's.
 * `*` stands for any resource or any action, and alone for everything. What is said in a thread is `messages`, and its id is the thread's.
 */
export const ACTIONS = {
  threads: ["read", "write"],
  messages: ["write"],
  agents: ["read", "write"],
  models: ["read", "manage"],
  people: ["read", "manage"],
  keys: ["manage"],
  usage: ["read"],
  budgets: ["read", "manage"],
  audit: ["read"],
  organization: ["read", "manage", "export", "erase"],
} as const;

export type Resource = keyof typeof ACTIONS;
/** A permission: an action on a resource. */
export type Scope = { [R in Resource]: `${R}:${(typeof ACTIONS)[R][number]}` }[Resource];

/** Resources of which a key can be given one alone, and how their ids begin. */
const ID_PREFIXES: Partial<Record<Resource, string>> = { threads: "thread_", messages: "thread_", agents: "agent_" };
const ID = /^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

interface Parts {
  resource: string;
  /** Null: every one. */
  id: string | null;
  action: string;
}

/** The parts of a scope that a key can have; null for anything else. */
export function parseScope(text: string): Parts | null {
  if (text === "*") return { resource: "*", id: null, action: "*" };
  const parts = text.split(":");
  const [resource, action] = [parts[0] ?? "", parts.at(-1) ?? ""];
  if (parts.length < 2 || parts.length > 3 || !isAction(resource, action)) return null;
  if (parts.length === 2) return { resource, id: null, action };
  const [, id = ""] = parts;
  const prefix = ID_PREFIXES[resource as Resource];
  return prefix && id.startsWith(prefix) && ID.test(id) ? { resource, id, action } : null;
}

function isAction(resource: string, action: string): boolean {
  if (resource !== "*" && !Object.hasOwn(ACTIONS, resource)) return false;
  const actions: readonly string[] = resource === "*" ? Object.values(ACTIONS).flat() : ACTIONS[resource as Resource];
  return action === "*" || actions.includes(action);
}

/** Whether one of the scopes allows `wanted`: of the one with this id, or, without an id, of all there are. */
export function allows(scopes: readonly string[], wanted: Scope, id: string | null = null): boolean {
  const [resource = "", action = ""] = wanted.split(":");
  return covered(scopes, { resource, id, action });
}

/** Those of the wanted scopes that allow more than `held` does: a key makes no key that may do more. */
export function beyond(held: readonly string[], wanted: readonly string[]): string[] {
  return wanted.filter((text) => {
    const parts = parseScope(text);
    return parts === null || !covered(held, parts);
  });
}

/** Whether one scope covers it whole; a wildcard is covered by a wildcard only. */
function covered(held: readonly string[], { resource, id, action }: Parts): boolean {
  return held.some((text) => {
    const has = parseScope(text);
    return (
      has !== null &&
      (has.resource === "*" || has.resource === resource) &&
      (has.action === "*" || has.action === action) &&
      (has.id === null || has.id === id)
    );
  });
}
