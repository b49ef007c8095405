import { GRAPHYN_TAG, tagOf } from "../letta/tags";
import { type LettaEmbedding, LettaError, type LettaOrg } from "../lib/letta-client";
import { type Intent, settleArchive } from "./intent";
import { ARCHIVAL_TOOLS, SAFE_TOOL_TYPES } from "./tools";

/** Characters of one memory block. All blocks are in every request to the model. */
const BLOCK_CHARS_MAX = 5_000;

/** An agent's memory. The labels and descriptions tell the model what belongs where. */
const BLOCKS = [
  {
    label: "persona",
    description: "What you have learned about how to do your work here: tone, habits, what to avoid.",
  },
  { label: "human", description: "What you know about the people you talk with. Name whom each fact is about." },
  { label: "knowledge", description: "Facts about the organization and its matters that are worth keeping." },
];

export interface MadeInLetta {
  lettaId: string;
  blockIds: string[];
}

/** Makes a version's agent in Letta, and with the first one the memory. Everything carries tags by which `removeFromLetta` finds it. */
export async function makeInLetta(
  org: LettaOrg,
  intent: Intent,
  wanted: { name: string; systemPrompt: string; tools: string[]; model: string; embedding: LettaEmbedding | null },
): Promise<MadeInLetta> {
  const agentTag = tagOf(intent.agentId);
  const tools = await org.tools.byNames(wanted.tools);
  const usable = tools.filter((tool) => SAFE_TOOL_TYPES.has(tool.type));
  const lacking = wanted.tools.filter((name) => !usable.some((tool) => tool.name === name));
  if (lacking.length > 0) throw new Error(`Letta lacks its own tools ${lacking.join(", ")} in this organization`);

  const blockIds = intent.first ? await makeBlocks(org, agentTag) : intent.blockIds;
  const agent = await org.agents.create({
    name: wanted.name,
    system: wanted.systemPrompt,
    model: wanted.model,
    embedding: wanted.embedding,
    toolIds: usable.map((tool) => tool.id),
    blockIds,
    tags: [GRAPHYN_TAG, agentTag, tagOf(intent.versionId)],
    metadata: {
      graphyn_agent_id: intent.agentId,
      graphyn_version_id: intent.versionId,
      graphyn_version: intent.version,
    },
  });

  if (wanted.tools.some((tool) => ARCHIVAL_TOOLS.has(tool)) && wanted.embedding !== null) {
    await org.archives.attach(intent.archiveId ?? (await makeArchive(org, intent, wanted.embedding)), agent.id);
  }
  return { lettaId: agent.id, blockIds };
}

/** Ends only when every request has: one that is still under way when another fails would leave a block behind the clean-up. */
export async function makeBlocks(org: LettaOrg, agentTag: string): Promise<string[]> {
  const made = await Promise.allSettled(
    BLOCKS.map(({ label, description }) =>
      org.blocks.create({
        label,
        description,
        value: "",
        limit: BLOCK_CHARS_MAX,
        tags: [GRAPHYN_TAG, agentTag],
        metadata: {},
      }),
    ),
  );
  return made.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value.id;
  });
}

async function makeArchive(org: LettaOrg, intent: Intent, embedding: LettaEmbedding): Promise<string> {
  const made = await org.archives.create(tagOf(intent.agentId), embedding);
  const settled = await settleArchive(intent, made);
  if (settled === null) throw new LettaError("timeout", { code: "intent_given_up" });
  if (settled !== made) await org.archives.delete(made);
  return settled;
}

/** Removes what was made in Letta for a version that failed; of a first version also the memory. Nothing there is no error. */
export async function removeFromLetta(
  org: LettaOrg,
  intent: Pick<Intent, "versionId" | "agentId" | "first">,
): Promise<void> {
  for await (const agent of org.agents.list({ tags: [GRAPHYN_TAG, tagOf(intent.versionId)] }))
    await org.agents.delete(agent.id);
  if (!intent.first) return;
  for await (const block of org.blocks.list({ tags: [GRAPHYN_TAG, tagOf(intent.agentId)] }))
    await org.blocks.delete(block.id);
  await org.archives.deleteNamed(tagOf(intent.agentId));
}
