import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, request } from "undici";

/** A request handed over carries this, so that it is not handed over again: the turn may have ended meanwhile. */
export const HANDED_OVER = "x-graphyn-handed-over";

const CONNECT_MS_MAX = 2_000;
/** The answer takes as long as the model does; its first byte may be its last. */
const ANSWER_MS_MAX = 600_000;
const CONNECTIONS_MAX = 256;

const agent = new Agent({
  connect: { timeout: CONNECT_MS_MAX },
  headersTimeout: ANSWER_MS_MAX,
  bodyTimeout: ANSWER_MS_MAX,
  connections: CONNECTIONS_MAX,
});

/**
 * Passes a request of Letta's on to the process that runs its turn (`owner` as leases name it) and its answer back as it comes.
 * False when there is nobody to hand it to.
 */
export async function handOver(
  owner: string,
  req: IncomingMessage,
  body: object,
  resp: ServerResponse,
): Promise<boolean> {
  const url = owner.slice(owner.indexOf("@") + 1);
  if (!owner.includes("@") || req.headers[HANDED_OVER] !== undefined) return false;
  const answer = await request(new URL(req.url ?? "/", url), {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: req.headers.authorization ?? "",
      [HANDED_OVER]: "1",
    },
    body: JSON.stringify(body),
    dispatcher: agent,
  });
  // With what tells Letta's client not to repeat a request that failed: the gateway has done that.
  const kept = ["content-type", "x-should-retry"].flatMap((name) => {
    const value = answer.headers[name];
    return typeof value === "string" ? [[name, value] as const] : [];
  });
  resp.writeHead(answer.statusCode, Object.fromEntries(kept));
  for await (const bytes of answer.body) resp.write(bytes);
  resp.end();
  return true;
}
