/** Versions of agents: semantic versioning's three numbers (https://semver.org), no suffixes. */
export type Bump = "major" | "minor" | "patch";

export const FIRST_VERSION = "0.1.0";

export function nextVersion(version: string, bump: Bump): string {
  const [major, minor, patch] = parts(version);
  if (bump === "major") return `${major + 1}.0.0`;
  if (bump === "minor") return `${major}.${minor + 1}.0`;
  return `${major}.${minor}.${patch + 1}`;
}

/** Negative: `a` is the older one. */
export function compareVersions(a: string, b: string): number {
  const left = parts(a);
  const right = parts(b);
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

function parts(version: string): [number, number, number] {
  const match = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})$/.exec(version);
  if (!match) throw new Error(`not a version: ${version.slice(0, 40)}`);
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}
