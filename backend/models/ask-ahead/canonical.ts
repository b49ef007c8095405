/** How a model is asked to deliver its answer changes nothing of the answer. */
const DELIVERY = new Set(["stream", "stream_options"]);

/** One text for all requests that ask the same: fields in order, those that are null or absent left out, delivery left out. */
export function canonical(body: Record<string, unknown>): string {
  return JSON.stringify(ordered(Object.fromEntries(Object.entries(body).filter(([name]) => !DELIVERY.has(name)))));
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
