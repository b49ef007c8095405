import type { IncomingMessage } from "node:http";
import { isObject, type JsonObject, parseJson } from "../json";
import { READ_BYTES_MAX, REQUEST_BYTES_MAX } from "../limits";

/** A request of Letta's that cannot be read, or is nobody's. */
export class BadRequest extends Error {
  constructor(
    readonly status: 400 | 403 | 413,
    message: string,
  ) {
    super(message);
  }
}

/** The JSON object that a request holds. Throws BadRequest. */
export async function readRequest(req: IncomingMessage): Promise<JsonObject> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of req as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes <= REQUEST_BYTES_MAX) parts.push(part);
    else parts.length = 0; // what is too long is read on and dropped: the next request comes on the same connection
    if (bytes > READ_BYTES_MAX) break;
  }
  if (bytes > REQUEST_BYTES_MAX) throw new BadRequest(413, `A request takes at most ${REQUEST_BYTES_MAX} bytes.`);
  const body = parseJson(Buffer.concat(parts).toString("utf8"));
  if (!isObject(body)) throw new BadRequest(400, "The body must be a JSON object.");
  return body;
}

/** The same, of a chat completions request: it has a model and messages, and its tools are in one order. */
export async function readChatRequest(req: IncomingMessage): Promise<JsonObject> {
  const body = await readRequest(req);
  if (typeof body.model !== "string") throw new BadRequest(400, "model must be a string.");
  if (!Array.isArray(body.messages)) throw new BadRequest(400, "messages must be a list.");
  return Array.isArray(body.tools) ? { ...body, tools: inOrder(body.tools) } : body;
}

/**
 * Tools by their names. Letta 0.16.8 lists an agent's tools as its database happens to give them, in another order when PostgreSQL changes
 * its plan: a guess would miss, and a provider that keeps what it has read of a prompt would read it anew.
 */
function inOrder(tools: unknown[]): unknown[] {
  return tools.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0));
}

function nameOf(tool: unknown): string {
  return isObject(tool) && isObject(tool.function) ? String(tool.function.name) : "";
}
