import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chownSync, existsSync, lstatSync, mkdirSync, readlinkSync, statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { Fault } from "../fault";
import { GRAPHYN_DIR, INSTALL_DIR } from "../paths";

/** PostgreSQL refuses to run as root. There it runs as this system user; everybody else runs it as themselves. */
const SYSTEM_USER = process.env.GRAPHYN_POSTGRES_USER ?? "nobody";
/** Where its files go when that user could not reach them in the sources' folder, as under /root. */
const FALLBACK_DIR = "/var/lib/graphyn";
const OTHERS_MAY_ENTER = 0o001;
const HASH_CHARS = 12;

export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** The user that PostgreSQL must run as, or undefined when we are not root and it can be ourselves. */
export function systemUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  try {
    const id = (flag: string) => Number(execFileSync("id", [flag, SYSTEM_USER], { encoding: "utf8", stdio: "pipe" }));
    return { uid: id("-u"), gid: id("-g") };
  } catch {
    throw new Fault(
      `PostgreSQL does not run as root, and there is no user "${SYSTEM_USER}" to run it as.`,
      "Name one with GRAPHYN_POSTGRES_USER, or run this as a user other than root.",
    );
  }
}

/** PostgreSQL's programs. */
export function programsHome(): string {
  return reachable(join(INSTALL_DIR, "postgres"));
}

/** PostgreSQL's data. */
export function dataHome(): string {
  return reachable(join(GRAPHYN_DIR, "data"));
}

/**
 * The folder itself, or, as root in a place that others may not enter (such as /root), a folder of our own in /var/lib with
 * a link to it where the folder would be.
 */
function reachable(dir: string): string {
  let target = dir;
  if (lstatSync(dir, { throwIfNoEntry: false })?.isSymbolicLink()) {
    target = readlinkSync(dir);
  } else if (systemUser() && !othersMayEnter(dir)) {
    target = join(FALLBACK_DIR, createHash("sha256").update(dir).digest("hex").slice(0, HASH_CHARS));
    mkdirSync(dirname(dir), { recursive: true });
    symlinkSync(target, dir);
  }
  mkdirSync(target, { recursive: true, mode: 0o755 });
  return target;
}

function othersMayEnter(dir: string): boolean {
  for (let at = dir; ; at = dirname(at)) {
    if (existsSync(at) && (statSync(at).mode & OTHERS_MAY_ENTER) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** Makes a folder that PostgreSQL's user owns. */
export function makeOwned(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  const user = systemUser();
  if (user) chownSync(dir, user.uid, user.gid);
}
