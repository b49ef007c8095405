import type { SourceRef } from "../meta.js";
import type { Problems } from "./problems.js";

/** What makes a folder a service: a `Service` declaration (strong) or a resource that has to live in one. */
export interface ServiceClue {
  /** Folder relative to the app root, "" for the root itself. */
  dir: string;
  strong: boolean;
  /** Of the `Service` declaration. */
  name: string | null;
  source: SourceRef;
}

export interface FoundService {
  name: string;
  dir: string;
  source: SourceRef;
}

/**
 * Services as Encore finds them: each folder with an `encore.service.ts`, and each other folder with an endpoint, gateway or auth handler
 * that is not below a service already; the latter takes its folder's name.
 */
export function discoverServices(clues: ServiceClue[], appId: string, problems: Problems): FoundService[] {
  const found = new Map<string, FoundService>();
  const strongDirs = new Set(clues.filter((clue) => clue.strong).map((clue) => clue.dir));
  for (const clue of clues) {
    if (found.has(clue.dir)) continue;
    const dirs = [...found.keys()];
    if (!clue.strong && dirs.some((dir) => isBelow(clue.dir, dir))) continue;
    for (const dir of dirs) if (isBelow(dir, clue.dir) && !strongDirs.has(dir)) found.delete(dir);
    const name = clue.name ?? (clue.dir.split("/").at(-1) || appId || "app");
    found.set(clue.dir, { name, dir: clue.dir, source: clue.source });
  }
  const services = [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const [index, service] of services.entries())
    for (const other of services.slice(index + 1)) {
      const [inner, outer] = isBelow(service.dir, other.dir) ? [service, other] : [other, service];
      if (isBelow(inner.dir, outer.dir))
        problems.add(
          inner.source,
          `The service "${inner.name}" cannot be inside the folder of the service "${outer.name}".`,
        );
      else if (service.name === other.name)
        problems.add(
          other.source,
          `The service "${other.name}" is defined twice (also ${service.source.file}:${service.source.line}).`,
        );
    }
  return services;
}

/** The service a file belongs to. */
export function serviceOf(services: FoundService[], file: string): FoundService | null {
  const dir = file.includes("/") ? file.slice(0, file.lastIndexOf("/")) : "";
  const holders = services.filter((service) => service.dir === dir || isBelow(dir, service.dir));
  return holders.sort((a, b) => b.dir.length - a.dir.length)[0] ?? null;
}

function isBelow(dir: string, parent: string): boolean {
  return dir !== parent && (parent === "" || dir.startsWith(`${parent}/`));
}
