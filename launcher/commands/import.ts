import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { type ClientRequest, type IncomingMessage, request as overHttp } from "node:http";
import { request as overHttps } from "node:https";
import { Fault } from "../fault";
import { step } from "../terminal/progress";
import { bold, dim } from "../terminal/style";
import { refused, sizeOf } from "./archive-said";
import { readOptions } from "./options";
import { targetOf } from "./target";

const USE = "./graphyn import FILE [URL]";
const ANSWER_BYTES_MAX = 1 << 20;

interface Imported {
  organization_id: string;
  user_id: string | null;
  api_key: string | null;
  counts: Record<string, number>;
}

/**
 * `./graphyn import FILE [URL]`: takes an archive in, into a Graphyn where its organization is not, and shows the new API key of its owner.
 * GRAPHYN_ADMIN_KEY is the deployment's AdminKey.
 */
export async function importArchive(args: readonly string[]): Promise<number> {
  const [file, address] = readOptions(args, {}).positionals;
  if (file === undefined) throw new Fault("Which archive?", USE);
  const { url, adminKey } = targetOf(address, USE);
  if (!adminKey) throw new Fault("An import is the operator's.", "Set GRAPHYN_ADMIN_KEY to the deployment's AdminKey.");
  const size = await stat(file).then(
    (found) => found.size,
    () => {
      throw new Fault(`There is no file ${file}.`, USE);
    },
  );
  console.log(`\n  ${bold("Graphyn: import")} ${dim(url)}\n`);
  let imported: Imported | undefined;
  await step("Import", "sending", async ({ say }) => {
    imported = await send(url, { file, size, adminKey }, say);
    const rows = Object.values(imported.counts).reduce((sum, count) => sum + count, 0);
    return `${imported.organization_id}, ${rows} rows`;
  });
  if (imported?.api_key) console.log(`\n  ${bold("API key, shown once:")} ${imported.api_key}\n`);
  return 0;
}

async function send(
  url: string,
  { file, size, adminKey }: { file: string; size: number; adminKey: string },
  say: (text: string) => void,
): Promise<Imported> {
  const headers = {
    "x-admin-key": adminKey,
    "content-type": "application/x-ndjson",
    "content-length": size,
    "idempotency-key": `import ${await hashOf(file)}`, // the same file once more, after a lost answer, gives that answer
  };
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const target = `${url}/organizations/import`;
    const options = { method: "POST", headers };
    const sending: ClientRequest = target.startsWith("https:") ? overHttps(target, options) : overHttp(target, options);
    const reading = createReadStream(file);
    let sent = 0;
    reading.on("data", (piece) => {
      sent += piece.length;
      say(sent < size ? `${sizeOf(sent)} of ${sizeOf(size)}` : "all sent, being written");
    });
    let isAnswered = false;
    const broken = () => {
      if (!isAnswered)
        reject(
          new Fault(
            "The connection broke before the server had answered.",
            "Try it again: it is done once, and the same file gets the same answer for a day.",
          ),
        );
    };
    reading.on("error", broken);
    sending.on("error", broken);
    sending.on("response", (response) => {
      isAnswered = true; // also in the middle: a refusal does not wait for the rest
      reading.unpipe(sending);
      textOf(response).then((answer) => resolve({ status: response.statusCode ?? 0, text: answer }), reject);
    });
    reading.pipe(sending);
  });
  if (status !== 200) throw refused(status, text);
  return JSON.parse(text) as Imported;
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(file)) hash.update(piece);
  return hash.digest("hex");
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of response) {
    text += String(piece);
    if (text.length > ANSWER_BYTES_MAX) break;
  }
  return text;
}
