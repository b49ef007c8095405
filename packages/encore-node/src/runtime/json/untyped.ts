/** A JSON value without a schema, as it stands inside a union until a variant is found for it. */

/** A number that was written as a float: `5.0` is no integer literal. */
export class JsonFloat {
  constructor(readonly value: number) {}
}

export type Untyped = null | boolean | number | bigint | JsonFloat | string | Untyped[] | Map<string, Untyped>;

/** An object with its keys in order, as Encore's maps are; the last of equal keys wins. */
export function buildObject(keys: string[], values: unknown[]): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  let sorted = true;
  for (let i = 1; i < keys.length; i++) {
    if ((keys[i] as string) < (keys[i - 1] as string)) {
      sorted = false;
      break;
    }
  }
  if (sorted) {
    // Plain assignment, also of "__proto__", which Encore's bindings assign as well (recording `body-proto`).
    for (let i = 0; i < keys.length; i++) out[keys[i] as string] = values[i];
    return out;
  }
  const order = keys
    .map((_, i) => i)
    .sort((a, b) => ((keys[a] as string) < (keys[b] as string) ? -1 : keys[a] === keys[b] ? a - b : 1));
  for (const i of order) out[keys[i] as string] = values[i];
  return out;
}
