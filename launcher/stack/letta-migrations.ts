import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../fault";
import { LETTA_DIR } from "./install-letta";

/** The revision that no other builds on, which is what alembic calls its head. */
export function newestMigration(versionsDir = join(LETTA_DIR, "alembic", "versions")): string {
  const revisions = new Set<string>();
  const builtOn = new Set<string>();
  for (const name of readdirSync(versionsDir).filter((file) => file.endsWith(".py"))) {
    const text = readFileSync(join(versionsDir, name), "utf8");
    const revision = text.match(/^revision(?::\s*\w+)?\s*=\s*["']([^"']+)["']/m)?.[1];
    if (revision) revisions.add(revision);
    const down = text.match(/^down_revision(?::[^=]+)?\s*=\s*(.+)$/m)?.[1] ?? "";
    for (const [, id] of down.matchAll(/["']([^"']+)["']/g)) if (id) builtOn.add(id);
  }
  const heads = [...revisions].filter((revision) => !builtOn.has(revision));
  const [head] = heads;
  if (heads.length === 1 && head) return head;
  throw new Fault(
    `Letta's migrations in ${versionsDir} have ${heads.length} heads instead of one.`,
    "Remove .graphyn/install and run this again, so that Letta is installed anew.",
  );
}
