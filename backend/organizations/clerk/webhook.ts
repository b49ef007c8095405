import type { IncomingMessage, ServerResponse } from "node:http";
import { verifyWebhook } from "@clerk/backend/webhooks";
import { api, ErrCode } from "encore.dev/api";
import log from "encore.dev/log";
import { clerkEvents } from "../../lib/metrics";
import { applyEvent } from "./apply-event";
import { BadEvent, readEvent } from "./read-event";
import { clerkSettings, webhookSecret } from "./settings";

/** Clerk's largest events are a few kilobytes. */
const BODY_BYTES_MAX = 256 * 1024;
/** What is too long is read on to here, so that the sender hears the answer; then the connection is cut. */
const READ_BYTES_MAX = 4 * BODY_BYTES_MAX;
const HEADERS = ["svix-id", "svix-timestamp", "svix-signature"] as const;
const HEADER_CHARS_MAX = 2_000;
/** Deliveries remembered, so that one that comes again is answered at once. Forgotten ones change nothing either: see seats.ts. */
const REMEMBERED_MAX = 10_000;

const applied = new Set<string>();

type Refusal = "not_configured" | "headers" | "too_large" | "signature" | "bad_event";

class Refused extends Error {
  constructor(readonly why: Refusal) {
    super(why);
  }
}

/**
 * What Clerk tells of its organizations, their members and people. Signed over its raw body (Standard Webhooks, five minutes at most old);
 * delivered at least once, in any order, and again after any answer but 2xx.
 */
export const clerkWebhook = api.raw(
  { expose: true, method: "POST", path: "/webhooks/clerk", tags: ["internal"], bodyLimit: null },
  async (req, resp) => {
    try {
      const { id, event } = await readDelivery(req);
      answer(resp, 200, { outcome: await take(id, event) });
    } catch (error) {
      if (error instanceof Refused || error instanceof BadEvent) {
        const why = error instanceof Refused ? error.why : "bad_event";
        clerkEvents.inc({ outcome: "refused" });
        log.warn("a webhook was refused", { reason: why });
        return answer(resp, 400, {
          code: ErrCode.InvalidArgument,
          message: "This is no webhook of the Clerk instance.",
          details: { reason: "bad_webhook", hint: "For the operator: the server's log says what is wrong with it." },
        });
      }
      clerkEvents.inc({ outcome: "failed" });
      log.error("a webhook could not be applied; Clerk sends it again", { error: String(error) });
      answer(resp, 500, {
        code: ErrCode.Internal,
        message: "an internal error occurred",
        details: { reason: "internal", hint: "Send it again." },
      });
    }
  },
);

type Outcome = "applied" | "outdated" | "replayed" | "unknown";

async function take(id: string, signed: Record<string, unknown>): Promise<Outcome> {
  const outcome = await outcomeOf(id, signed);
  clerkEvents.inc({ outcome });
  return outcome;
}

async function outcomeOf(id: string, signed: Record<string, unknown>): Promise<Outcome> {
  if (applied.has(id)) return "replayed";
  const event = readEvent(signed);
  if (!event) return "unknown";
  const isNews = await applyEvent(event, clerkSettings()?.issuer ?? "");
  if (applied.size >= REMEMBERED_MAX) applied.delete(applied.values().next().value as string);
  applied.add(id);
  return isNews ? "applied" : "outdated";
}

/** A delivery whose signature is right. Throws Refused. */
async function readDelivery(req: IncomingMessage): Promise<{ id: string; event: Record<string, unknown> }> {
  const signingSecret = webhookSecret();
  if (signingSecret === "") throw new Refused("not_configured");
  const headers = new Headers();
  for (const name of HEADERS) {
    const value = req.headers[name];
    if (typeof value !== "string" || value === "" || value.length > HEADER_CHARS_MAX) throw new Refused("headers");
    headers.set(name, value);
  }
  const body = await readBody(req);
  try {
    const request = new Request("http://graphyn/webhooks/clerk", { method: "POST", headers, body });
    const event = await verifyWebhook(request, { signingSecret });
    return { id: headers.get("svix-id") ?? "", event: event as unknown as Record<string, unknown> };
  } catch {
    throw new Refused("signature"); // or its time, or a body that is no JSON
  }
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of req as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes <= BODY_BYTES_MAX) parts.push(part);
    else parts.length = 0;
    if (bytes > READ_BYTES_MAX) break;
  }
  if (bytes > BODY_BYTES_MAX) throw new Refused("too_large");
  return Buffer.concat(parts);
}

function answer(resp: ServerResponse, status: number, body: object): void {
  resp.writeHead(status, { "Content-Type": "application/json" });
  resp.end(JSON.stringify(body));
}
