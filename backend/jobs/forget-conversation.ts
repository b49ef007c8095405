import type { Task } from "graphile-worker";
import { forOrg } from "../letta/for-org";
import { LettaError } from "../lib/letta-client";

/** Erases a Letta conversation of a thread that was erased. */
export const forgetConversation: Task = async (payload) => {
  const { org_id, letta_conversation_id } = payload as { org_id: string; letta_conversation_id: string };
  const letta = await forOrg(org_id);
  try {
    await letta.conversations.delete(letta_conversation_id);
  } catch (error) {
    if (error instanceof LettaError && error.kind === "not_found") return;
    throw error;
  }
};
