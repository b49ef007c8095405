import { forOrg } from "../../letta/for-org";
import { LettaError } from "../../lib/letta-client";
import { estimateTokens, usageOf } from "../../models/metering/usage";
import { otidOf } from "./otid";
import { SourceError, type TurnSource } from "./turn-source";

/** The TurnSource that passes on Letta's own token stream. */
export const lettaRelay: TurnSource = async (input, signal, tell) => {
  const { orgId, turnId, attempt, conversationId, content, model, meter, admitted } = input;
  // What Letta puts before the message is not seen here.
  const prompt = Math.max(meter.expectedPrompt(), estimateTokens(content.length));
  const estimate = (chars: number) => usageOf(prompt, estimateTokens(chars), true);
  if (!(await meter.ask({ model, price: null, estimate }))) return;
  let speaking: string | null = null;
  try {
    const letta = await forOrg(orgId);
    const otid = otidOf(turnId, attempt);
    for await (const event of letta.streamMessage({ conversationId, content, otid, signal, admitted })) {
      switch (event.type) {
        case "run":
          tell({ type: "run", run_id: event.runId });
          break;
        case "text": {
          // An agent may speak, use a tool, and speak again: two messages in Letta, two paragraphs of one answer here.
          const next = speaking !== null && speaking !== event.messageId;
          speaking = event.messageId;
          const may = meter.heard(event.text.length);
          if (may !== true && !(await may)) return;
          tell({ type: "text", text: next ? `\n\n${event.text}` : event.text });
          break;
        }
        case "tool_call":
          tell({ type: "tool_call", id: event.toolCallId, name: event.name ?? "", arguments: event.arguments });
          break;
        case "tool_return":
          tell({ type: "tool_return", id: event.toolCallId, ok: event.status === "success" });
          break;
        case "usage":
          meter.ended(usageOf(event.promptTokens, event.completionTokens), true);
          break;
        case "stop":
          tell({ type: "end", stop_reason: event.reason, stored: event.reason !== "cancelled" });
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
  } finally {
    meter.ended(null, speaking !== null || signal.aborted);
  }
};
