import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "../fault";
import { place } from "../paths";
import { SERVERS, type ServerName } from "../stack/state";
import { dim } from "../terminal/style";
import { readOptions } from "./options";

const LINES_SHOWN = 40;
const FOLLOW_INTERVAL_MS = 250;
const READ_BYTES_MAX = 1 << 20;

/** `./graphyn logs [graphyn|letta|postgres|dev-model] [-f]`: the last lines, and with -f what comes after. */
export async function logs(args: readonly string[]): Promise<number> {
  const { values, positionals } = readOptions(args, { follow: { type: "boolean", short: "f" } });
  const names = positionals.length > 0 ? positionals.map(known) : SERVERS;
  const width = Math.max(...names.map((name) => name.length));
  const files = names
    .map((name) => ({
      label: names.length > 1 ? dim(`${name.padEnd(width)} | `) : "",
      file: join(place("start").logs, `${name}.log`),
    }))
    .filter(({ file }) => existsSync(file));
  if (files.length === 0) {
    console.log("There are no logs yet. ./graphyn start writes them.");
    return 1;
  }
  const places = files.map(({ label, file }) => {
    const text = readFileSync(file, "utf8");
    for (const line of text.trimEnd().split("\n").slice(-LINES_SHOWN)) console.log(label + line);
    return { label, file, offset: Buffer.byteLength(text) };
  });
  while (values.follow) {
    for (const at of places) at.offset = printFrom(at.file, at.offset, at.label);
    await sleep(FOLLOW_INTERVAL_MS);
  }
  return 0;
}

function known(name: string): ServerName {
  const found = SERVERS.find((server) => server === name);
  if (found) return found;
  throw new Fault(`There is no log "${name}".`, `Choose from ${SERVERS.join(", ")}.`);
}

/** Prints the whole lines after `offset` and returns where they end; a file that became shorter is read from its start. */
function printFrom(file: string, offset: number, label: string): number {
  const handle = openSync(file, "r");
  try {
    const { size } = fstatSync(handle);
    const from = size < offset ? 0 : offset;
    const bytes = Buffer.alloc(Math.min(size - from, READ_BYTES_MAX));
    const read = readSync(handle, bytes, 0, bytes.length, from);
    const end = bytes.subarray(0, read).lastIndexOf(10) + 1;
    if (end === 0) return from;
    for (const line of bytes
      .subarray(0, end - 1)
      .toString()
      .split("\n"))
      console.log(label + line);
    return from + end;
  } finally {
    closeSync(handle);
  }
}
