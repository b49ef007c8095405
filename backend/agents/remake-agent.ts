import { setTimeout as sleep } from "node:timers/promises";
import { type Tx, tenant } from "../db/tenant";
import { forOrg } from "../letta/for-org";
import { GRAPHYN_TAG, tagOf } from "../letta/tags";
import type { LettaOrg } from "../lib/letta-client";
import { makeBlocks, makeInLetta } from "./in-letta";
import { chooseEmbedding, chooseModel } from "./models";
import { ARCHIVAL_TOOLS } from "./tools";

/** How long answers under way may still end in the memory that is to go. One that takes longer fails, and keeps what was said. */
const RUNNING_MS_MAX = 20_000;
const LOOK_MS = 250;

interface Version {
  id: string;
  version: string;
  name: string;
  system_prompt: string;
  tools: string[];
  model: string;
  /** Null: it came from an archive and is nothing in Letta yet. */
  letta_id: string | null;
}

export interface Remade {
  letta_agents: number;
  letta_conversations: number;
  letta_blocks: number;
  letta_archives: number;
}

/**
 * Gives an agent a new memory in Letta, an empty one: every version's Letta agent is made anew, with new blocks and, where it had one, a
 * new archive; then the old ones go, with their conversations. Letta only marks the messages of a conversation as deleted and erases them
 * with their agent, so nothing less will do. The agent is told each thread anew as the thread is now, its own answers included.
 *
 * `inSwap` runs in the transaction that changes over. Done again, it makes yet another memory and harms nothing.
 */
export async function remakeAgent(
  orgId: string,
  agentId: string,
  inSwap: (tx: Tx, removed: Remade) => Promise<void>,
): Promise<void> {
  const org = await forOrg(orgId);
  if ((await current(orgId, agentId)).versions.some(({ letta_id }) => letta_id !== null))
    await untilSilent(orgId, agentId);
  const { versions, blockIds: oldBlocks, archiveId: oldArchive } = await current(orgId, agentId);
  if (versions.length === 0) return;
  const leftovers = await removeOthers(org, agentId, versions, oldBlocks, oldArchive);
  const [models, embedding] = await Promise.all([org.models.list(), chooseEmbedding(org)]);
  const handles = new Set(models.map(({ handle }) => handle));

  const blockIds = await makeBlocks(org, tagOf(agentId));
  const needsArchive =
    embedding !== null && versions.some(({ tools }) => tools.some((tool) => ARCHIVAL_TOOLS.has(tool)));
  const archiveId = needsArchive ? await org.archives.create(tagOf(agentId), embedding) : null;
  const made: { id: string; letta_id: string }[] = [];
  for (const { id, version, name, system_prompt, tools, model } of versions) {
    const intent = { orgId, versionId: id, agentId, version, first: false, blockIds, archiveId };
    const wanted = {
      name,
      systemPrompt: system_prompt,
      tools: embedding === null ? tools.filter((tool) => !ARCHIVAL_TOOLS.has(tool)) : tools,
      // A version may be older than the models that are offered now.
      model: handles.has(model) ? model : await chooseModel(org, undefined),
      embedding,
    };
    made.push({ id, letta_id: (await makeInLetta(org, intent, wanted)).lettaId });
  }

  await tenant(orgId, async (tx) => {
    await tx.exec`
      update agents set letta_block_ids = ${blockIds}, letta_archive_id = ${archiveId}::text where org_id = ${orgId} and id = ${agentId}`;
    await tx.exec`
      update agent_versions v set letta_id = m.letta_id, state = 'ready'
      from jsonb_to_recordset(${JSON.stringify(made)}::text::jsonb) as m(id text, letta_id text)
      where v.org_id = ${orgId} and v.id = m.id`;
    const conversations = await forgetConversations(tx, orgId, agentId);
    await inSwap(tx, {
      letta_agents: versions.filter(({ letta_id }) => letta_id !== null).length + leftovers.agents,
      letta_conversations: conversations,
      letta_blocks: oldBlocks.length + leftovers.blocks,
      letta_archives: oldArchive === null ? 0 : 1,
    });
  });
  await removeOthers(
    org,
    agentId,
    made.map(({ id, letta_id }) => ({ id, letta_id })),
    blockIds,
    archiveId,
  );
}

/** Removes what an agent has in Letta besides what is named: what was there before, or what an attempt has left. */
export async function removeOthers(
  org: LettaOrg,
  agentId: string,
  versions: Pick<Version, "id" | "letta_id">[],
  blockIds: string[],
  archiveId: string | null,
): Promise<{ agents: number; blocks: number }> {
  const removed = { agents: 0, blocks: 0 };
  for (const { id, letta_id } of versions) {
    for await (const agent of org.agents.list({ tags: [GRAPHYN_TAG, tagOf(id)] })) {
      if (agent.id === letta_id) continue;
      await org.agents.delete(agent.id);
      removed.agents++;
    }
  }
  for await (const block of org.blocks.list({ tags: [GRAPHYN_TAG, tagOf(agentId)] })) {
    if (blockIds.includes(block.id)) continue;
    await org.blocks.delete(block.id);
    removed.blocks++;
  }
  for (const id of await org.archives.named(tagOf(agentId))) if (id !== archiveId) await org.archives.delete(id);
  return removed;
}

/**
 * The agent hears every thread anew. Its own answers, which Letta had, are told it as well: `letta_lacks` says that Letta has nothing of
 * them. Returns how many conversations were forgotten.
 */
export async function forgetConversations(tx: Tx, orgId: string, agentId: string): Promise<number> {
  await tx.exec`
    update turns t set letta_lacks = length(m.content)
    from messages m
    where t.org_id = ${orgId} and t.agent_id = ${agentId} and t.ended_at is not null
      and m.org_id = t.org_id and m.turn_id = t.id`;
  const gone = await tx.queryRow<{ n: number }>`
    with gone as (
      delete from agent_conversations c using agent_versions v
      where c.org_id = ${orgId} and (v.org_id, v.id) = (c.org_id, c.agent_version_id) and v.agent_id = ${agentId} returning 1)
    select count(*)::int as n from gone`;
  return gone?.n ?? 0;
}

async function current(orgId: string, agentId: string) {
  return tenant(orgId, async (tx) => {
    const agent = await tx.queryRow<{ letta_block_ids: string[]; letta_archive_id: string | null }>`
      select letta_block_ids, letta_archive_id from agents where org_id = ${orgId} and id = ${agentId}`;
    const versions = await tx.queryAll<Version>`
      select id, version, name, system_prompt, tools, model, letta_id from agent_versions
      where org_id = ${orgId} and agent_id = ${agentId} and state in ('ready', 'imported') order by id`;
    return { versions, blockIds: agent?.letta_block_ids ?? [], archiveId: agent?.letta_archive_id ?? null };
  });
}

async function untilSilent(orgId: string, agentId: string): Promise<void> {
  const until = performance.now() + RUNNING_MS_MAX;
  while (performance.now() < until) {
    const running = await tenant(
      orgId,
      (tx) => tx.queryRow`
        select 1 as running from turns where org_id = ${orgId} and agent_id = ${agentId} and state = 'running' limit 1`,
    );
    if (!running) return;
    await sleep(LOOK_MS);
  }
}
