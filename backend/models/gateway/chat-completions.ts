import type { ServerResponse } from "node:http";
import { api } from "encore.dev/api";
import log from "encore.dev/log";
import { brokenBeside } from "../../usage/beside-turns";
import { wholeCall } from "../../usage/estimates";
import { askedBy } from "../correlation/asked-by";
import { type LettaRequest, readLettaRequest, withoutNames } from "../correlation/letta-request";
import { isObject, type JsonObject } from "../json";
import type { Meter } from "../metering/meter";
import { recordCall } from "../metering/record-call";
import type { Usage } from "../metering/usage";
import { askUpstream } from "../requests/ask-upstream";
import type { ChatBody } from "../requests/chat-body";
import type { Price } from "../upstreams/upstream";
import { UpstreamError } from "../upstreams/upstream-error";
import { answerTurn, type Give } from "./answer-turn";
import { assemble, chunkOf, errorChunk, firstChunk, LAST_CHUNK, newAssembly, newHead, wholeAnswer } from "./assemble";
import { isLetta } from "./gateway-key";
import { handOver } from "./hand-over";
import { answerError, answerJson, answerNotLetta, errorBody } from "./openai-errors";
import { BadRequest, readChatRequest } from "./read-request";

const LETTA_USER = /^user-[0-9a-f-]{36}$/;

/** OpenAI's chat completions for Letta, answered by the upstreams, in the form it asks for: whole or streamed. */
export const gatewayChat = api.raw(
  {
    expose: true,
    method: "POST",
    path: "/internal/models/v1/chat/completions",
    tags: ["internal"],
    bodyLimit: null, // readRequest has its own, whose error Letta understands
  },
  async (req, resp) => {
    if (!isLetta(req)) return answerNotLetta(resp);
    const gone = new AbortController();
    resp.once("close", () => gone.abort()); // on hosts that tell
    try {
      const body = await readChatRequest(req);
      const asked = readLettaRequest(body);
      const whose = await askedBy(asked);
      switch (whose.kind) {
        case "turn":
          // Not ended when Letta hangs up: the turn's readers go on.
          return await answer(resp, body, (give) => answerTurn(whose.turn, withoutNames(body as ChatBody), give));
        case "letta":
          return await answer(resp, body, (give) => askForLetta(whose.orgId, withoutNames(body), gone.signal, give));
        case "elsewhere":
          if (await handOver(whose.owner, req, body, resp)) return;
          return refuse(resp, "no process runs the turn", asked);
        case "nobody":
          return refuse(resp, whose.why, asked);
        default:
          whose satisfies never;
      }
    } catch (error) {
      report(error);
      if (!resp.headersSent) answerError(resp, error);
      else resp.end(errorChunk(errorBody(error).body));
    }
  },
);

/**
 * What Letta asks on its own account (summaries, when a conversation grows too long): answered, and accounted to its organization, which has
 * to have enough left for it. Refused one, Letta 0.16.8 leaves the conversation as it is: with the answer, where it had one already, and
 * else without the message, which is asked again with the next (letta_agent_v3.py).
 */
async function askForLetta(orgId: string, body: JsonObject, signal: AbortSignal, give: Give): Promise<void> {
  const begun = performance.now();
  let tokens: Usage | null = null;
  let upstream: string | null = null;
  let price: Price | null = null;
  let isSpent = false;
  const meter: Meter = {
    async ask(call) {
      isSpent = (await brokenBeside(orgId, wholeCall(call))) !== null;
      return !isSpent;
    },
    heard: () => true,
    ended: (usage) => usage,
  };
  try {
    await askUpstream({ orgId, body, signal, meter }, (event) => {
      if (event.type === "usage") tokens = event.usage;
      if (event.type === "begin") ({ upstream, price } = event);
      give(event);
    });
  } catch (error) {
    throw isSpent ? new UpstreamError("out_of_credit", { code: "budget_spent" }) : error;
  } finally {
    if (!isSpent)
      recordCall({
        orgId,
        purpose: "letta",
        turnId: null,
        upstream,
        model: String(body.model),
        usage: tokens,
        price,
        durationMs: performance.now() - begun,
      });
  }
}

function refuse(resp: ServerResponse, why: string, { user, agentId, conversationId }: LettaRequest): void {
  log.warn("a request to the model gateway was refused", {
    why,
    letta_user: LETTA_USER.test(user) ? user : "none", // nothing else gets into a log
    letta_agent: agentId ?? undefined,
    letta_conversation: conversationId ?? undefined,
  });
  answerError(resp, new BadRequest(403, "This request belongs to no running turn."));
}

/** Gives the events of an answer, from its beginning to its end. */
type Say = (give: Give) => Promise<void>;

async function answer(resp: ServerResponse, body: JsonObject, say: Say): Promise<void> {
  if (body.stream === true) await answerStream(resp, body, say);
  else await answerWhole(resp, body, say);
}

async function answerWhole(resp: ServerResponse, body: JsonObject, say: Say): Promise<void> {
  const head = newHead(String(body.model));
  const answer = newAssembly();
  await say((event) => assemble(answer, event));
  answerJson(resp, 200, wholeAnswer(head, answer));
}

/** The head is sent with the first event: until then an error still has a status. */
async function answerStream(resp: ServerResponse, body: JsonObject, say: Say): Promise<void> {
  const head = newHead(String(body.model));
  const includeUsage = isObject(body.stream_options) && body.stream_options.include_usage === true;
  await say((event) => {
    if (event.type === "begin") {
      resp.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache" });
      resp.write(firstChunk(head));
      return;
    }
    const text = chunkOf(head, event, includeUsage);
    if (text !== "") resp.write(text);
  });
  resp.end(LAST_CHUNK);
}

function report(error: unknown): void {
  if (!(error instanceof UpstreamError)) {
    log.error("the model gateway failed", { error: error instanceof Error ? error.name : String(error) });
    return;
  }
  const { reason, upstream, status, code, afterFirstToken } = error;
  if (reason === "cancelled") return;
  log.warn("a language model's answer failed", {
    reason,
    upstream: upstream ?? undefined,
    status: status ?? undefined,
    code: code ?? undefined,
    after_first_token: afterFirstToken,
  });
}
