import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../fault";

/** Letta and its packages take 0.8 GB, uv's cache of them as much again where it cannot share, PostgreSQL 0.1 GB, data the rest. */
export const INSTALL_BYTES_MIN = 2_500_000_000;
/** A start on an installed machine needs room for logs and the write-ahead log only. */
export const START_BYTES_MIN = 300_000_000;

/** @throws Fault if the disk that will hold `dir` has less than `bytesMin` free. */
export async function checkDisk(dir: string, bytesMin: number): Promise<void> {
  let existing = dir;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  if (free >= bytesMin) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new Fault(
    `The disk that holds ${dir} has ${gigabytes(free)} free, and ${gigabytes(bytesMin)} are needed.`,
    "Free some space, or set GRAPHYN_HOME to a folder on another disk, then run this again.",
  );
}
