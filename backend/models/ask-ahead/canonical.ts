/** How a model is asked to deliver its answer changes nothing of the answer. */
const DELIVERY = new Set(["stream", "stream_options"]);

/** One text for all requests that ask the same: fields in order, those that are null or absent left out, delivery left out. */
export function canonical(body: Record<string, unknown>): string {
  return JSON.stringify(ordered(Object.fromEntries(Object.entries(body).filter(([name]) => !DELIVERY.has(name)))));
}

/** Whether two bodies have the same `canonical` text, without making it: a long conversation is in both. */
export function sameBody(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  return sameFields(a, b, DELIVERY);
}

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, i) => same(one, b[i]));
  if (Array.isArray(a) || Array.isArray(b)) return false;
  return sameFields(a as Record<string, unknown>, b as Record<string, unknown>);
}

function sameFields(a: Record<string, unknown>, b: Record<string, unknown>, except?: ReadonlySet<string>): boolean {
  const isSame = (name: string) => except?.has(name) || same(fieldOf(a, name), fieldOf(b, name));
  return Object.keys(a).every(isSame) && Object.keys(b).every((name) => Object.hasOwn(a, name) || isSame(name));
}

function fieldOf(body: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(body, name) ? (body[name] ?? null) : null;
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null && field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([name, field]) => [name, ordered(field)]),
  );
}
