import type { Upstream } from "./upstream";
import { readUpstreams } from "./upstreams";

let known: Upstream[] | undefined;

/** The process's upstreams. Throws when the configuration is wrong. */
export function upstreams(): Upstream[] {
  known ??= readUpstreams();
  return known;
}
