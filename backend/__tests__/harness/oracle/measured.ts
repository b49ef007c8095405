import type { History } from "./history";

/** I7. */
export function bounds({ measured }: History): string[] {
  return measured
    .filter(({ value, max }) => !(value <= max))
    .map(({ what, value, max }) => `${what}: ${value}, ${max} at most`);
}
