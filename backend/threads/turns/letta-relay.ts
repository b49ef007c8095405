import { createHash } from "node:crypto";
import { forOrg } from "../../letta/for-org";
import { LettaError } from "../../lib/letta-client";
import { SourceError, type TurnEvent, type TurnInput } from "./turn-source";

/** The TurnSource that passes on Letta's own token stream. */
export async function* lettaRelay(input: TurnInput, signal: AbortSignal): AsyncGenerator<TurnEvent> {
  const { orgId, turnId, attempt, conversationId, content } = input;
  let speaking: string | null = null;
  try {
    const letta = await forOrg(orgId);
    for await (const event of letta.streamMessage({ conversationId, content, otid: otidOf(turnId, attempt), signal })) {
      switch (event.type) {
        case "run":
          yield { type: "run", run_id: event.runId };
          break;
        case "text": {
          // An agent may speak, use a tool, and speak again: two messages in Letta, two paragraphs of one answer here.
          const next = speaking !== null && speaking !== event.messageId;
          speaking = event.messageId;
          yield { type: "text", text: next ? `\n\n${event.text}` : event.text };
          break;
        }
        case "tool_call":
          yield { type: "tool_call", id: event.toolCallId, name: event.name ?? "", arguments: event.arguments };
          break;
        case "tool_return":
          yield { type: "tool_return", id: event.toolCallId, ok: event.status === "success" };
          break;
        case "usage":
          yield { type: "usage", prompt_tokens: event.promptTokens, completion_tokens: event.completionTokens };
          break;
        case "stop":
          yield { type: "end", stop_reason: event.reason };
          break;
        case "reasoning":
        case "approval_request":
          break;
        default:
          event satisfies never;
      }
    }
  } catch (error) {
    if (error instanceof LettaError)
      throw new SourceError(error.kind, error.message, error.retryable, { cause: error });
    throw error;
  }
}

/** Letta's name for our message: the same for a repeated request of one attempt, so that it can be found again. A UUID. */
export function otidOf(turnId: string, attempt: number): string {
  const hex = createHash("sha256").update(`${turnId}/${attempt}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
