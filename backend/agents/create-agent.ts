import { api, type Header } from "encore.dev/api";
import type { MaxLen, MinLen } from "encore.dev/validate";
import { type AuditActor, actorOf } from "../audit/append-audit";
import { forOrg } from "../letta/for-org";
import { lettaProblem } from "../letta/problem";
import { invalid, notFound } from "../lib/errors";
import { marked } from "../lib/idempotency";
import { isId } from "../lib/ids";
import { LettaError, type LettaOrg } from "../lib/letta-client";
import { caller } from "../organizations/caller";
import { type AgentVersion, versionOf } from "./agent";
import { makeInLetta, removeFromLetta } from "./in-letta";
import { intendOnce } from "./intend-once";
import { forgetFailed, type Intent, markFailed, markReady } from "./intent";
import { madeInLetta } from "./make-imported";
import { chooseEmbedding, chooseModel } from "./models";
import { startReconciler } from "./reconcile";
import { ARCHIVAL_TOOLS, checkTools, DEFAULT_TOOLS } from "./tools";

interface CreateAgentRequest {
  /** Makes the next version of this agent instead of a new agent. */
  agent_id?: string & MaxLen<64>;
  name: string & MinLen<1> & MaxLen<200>;
  system_prompt: string & MinLen<1> & MaxLen<50_000>;
  /** Names of tools: Letta's memory and history tools. Left out: conversation_search, memory_insert, memory_replace. */
  tools?: string[] & MaxLen<20>;
  /** Letta's handle of a model, `provider/name`. Left out: the server's default. */
  model?: string & MinLen<1> & MaxLen<200>;
  /** Which part of the version number grows; `minor` unless it is said. Only with `agent_id`. */
  bump?: "major" | "minor" | "patch";
  /** Whether its model is asked ahead of Letta: `auto` (the default) where that pays. Only for a new agent; later PATCH /agents/:id. */
  ask_ahead?: "auto" | "on" | "off";
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface CreateAgentResponse extends AgentVersion {
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

startReconciler();

/**
 * Makes an agent, or the next version of one: an agent in Letta under the organization's identity, and its version here. Both or neither:
 * a failure half way leaves nothing on either side.
 */
export const createAgent = api(
  { expose: true, auth: true, method: "POST", path: "/agents" },
  async ({ idempotency_key: key, ...req }: CreateAgentRequest): Promise<CreateAgentResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    if (req.agent_id !== undefined && !isId("agent", req.agent_id)) throw notFound("agent");
    if (req.agent_id === undefined && req.bump !== undefined) {
      throw invalid("bump_without_agent", "A new agent begins at version 0.1.0.", "Leave bump out, or give agent_id.", {
        context: null,
      });
    }
    if (req.agent_id !== undefined && req.ask_ahead !== undefined) {
      throw invalid(
        "ask_ahead_with_agent",
        "ask_ahead belongs to the agent, not to one of its versions.",
        "Leave it out here, and change it with PATCH /agents/:id.",
        { context: null },
      );
    }
    const tools = checkTools(req.tools ?? DEFAULT_TOOLS);
    try {
      const org = await forOrg(orgID);
      const [model, embedding] = await Promise.all([chooseModel(org, req.model), chooseEmbedding(org)]);
      if (embedding === null && tools.some((tool) => ARCHIVAL_TOOLS.has(tool))) {
        throw invalid(
          "no_embedding_model",
          "Long-term memory needs an embedding model, and Letta offers none.",
          "Leave the archival tools out.",
          {
            context: null,
          },
        );
      }
      if (req.agent_id !== undefined) await madeInLetta(orgID, req.agent_id); // its memory is what a new version shares
      const once = { orgId: orgID, caller: userID, key, request: ["POST /agents", req] };
      const begun = await intendOnce(once, {
        agentId: req.agent_id,
        bump: req.bump ?? "minor",
        name: req.name,
        systemPrompt: req.system_prompt,
        tools,
        model,
        askAhead: req.ask_ahead ?? "auto",
        createdBy: userID,
      });
      if ("made" in begun) return marked({ answer: versionOf(begun.made), replayed: true });
      return await carryOut(org, actorOf(who), begun.intent, {
        name: req.name,
        systemPrompt: req.system_prompt,
        tools,
        model,
        embedding,
      });
    } catch (error) {
      throw lettaProblem(error);
    }
  },
);

async function carryOut(
  org: LettaOrg,
  actor: AuditActor,
  intent: Intent,
  wanted: Parameters<typeof makeInLetta>[2],
): Promise<AgentVersion> {
  try {
    const row = await markReady(intent, await makeInLetta(org, intent, wanted), actor);
    if (row === null) throw new LettaError("timeout", { code: "intent_given_up" });
    return versionOf(row);
  } catch (error) {
    await undo(org, intent, error).catch(() => undefined); // the reconciler does it again; the first error is the one to tell
    throw error;
  }
}

/** Takes back what was made. Where Letta may still be working on a request of ours, the intent stays for the reconciler to look again. */
async function undo(org: LettaOrg, intent: Intent, error: unknown): Promise<void> {
  await markFailed(intent);
  await removeFromLetta(org, intent);
  const mayComeStill = error instanceof LettaError && error.blame === "server" && error.kind !== "unauthorized";
  if (!mayComeStill) await forgetFailed(intent);
}
