import { createHash } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { Fault } from "../fault";
import { step } from "../terminal/progress";
import { bold, dim } from "../terminal/style";
import { refused, sizeOf } from "./archive-said";
import { readOptions } from "./options";
import { targetOf } from "./target";

/** The last line is far shorter: two names and a count for each table. */
const END_BYTES_MAX = 64 << 10;
const LINE_FEED = 0x0a;
const USE = "./graphyn export [URL] [--out FILE]";

/**
 * `./graphyn export [URL]`: writes the organization of GRAPHYN_API_KEY into a file, as one archive. The file has its name only once all of it
 * has come, and its hash is right: what was cut off is not left lying about.
 */
export async function exportArchive(args: readonly string[]): Promise<number> {
  const { values, positionals } = readOptions(args, { out: { type: "string" } });
  const { url, apiKey } = targetOf(positionals[0], USE);
  if (!apiKey)
    throw new Fault("Whose organization it is, the API key says.", "Set GRAPHYN_API_KEY to a key of an owner.");
  console.log(`\n  ${bold("Graphyn: export")} ${dim(url)}\n`);
  await step("Export", "asking", async ({ say }) => {
    const response = await fetch(`${url}/export`, { headers: { authorization: `Bearer ${apiKey}` } });
    if (response.status !== 200 || !response.body) throw refused(response.status, await response.text());
    const name = /filename="([\w.]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1];
    const path = resolve(values.out ?? name ?? "organization.graphyn.ndjson");
    const bytes = await keep(response.body, path, say);
    return `${path}, ${sizeOf(bytes)}`;
  });
  return 0;
}

async function keep(body: ReadableStream<Uint8Array>, path: string, say: (text: string) => void): Promise<number> {
  const part = `${path}.part`;
  const file = await open(part, "w", 0o600); // everybody's threads are in it
  try {
    const check = makeCheck();
    let bytes = 0;
    for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
      await file.write(piece);
      check.take(Buffer.from(piece));
      bytes += piece.length;
      say(sizeOf(bytes));
    }
    check.end();
    await file.sync();
    await file.close();
    await rename(part, path);
    return bytes;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(part, { force: true });
    throw error instanceof Fault ? error : new Fault("The connection broke before the archive's end.", "Try it again.");
  }
}

/** Looks at the archive as it comes: whether it ends, and whether that is what came before. */
function makeCheck() {
  const hash = createHash("sha256");
  let tail = Buffer.alloc(0);
  return {
    take(piece: Buffer) {
      const all = Buffer.concat([tail, piece]);
      // All but the last line is hashed; which one is the last is known at the end.
      const last = all.lastIndexOf(LINE_FEED, all.length - 2) + 1;
      const from = all.length - last > END_BYTES_MAX ? all.length : last;
      hash.update(all.subarray(0, from));
      tail = Buffer.from(all.subarray(from));
    },
    end() {
      const text = tail.toString();
      const { end, cut } = text.endsWith("\n") ? (parse(text) ?? {}) : {};
      if (cut)
        throw new Fault(
          `The server cut the archive off: ${cut.reason}.`,
          "docs/export.md says what each reason means.",
        );
      if (!end) throw new Fault("The archive has no end: it was cut off on the way.", "Try it again.");
      if (end.sha256 !== hash.digest("hex")) throw new Fault("The archive has changed on the way.", "Try it again.");
    },
  };
}

function parse(text: string): { end?: { sha256: string }; cut?: { reason: string } } | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
