import type pg from "pg";
import type { Place } from "../paths";
import { inDatabase } from "./databases";
import { GATEWAY_PATH, type Models } from "./models";
import { readState, updateState } from "./state";

/** Where Letta keeps the address of the model beside what uses it. */
const COLUMNS = [
  ["agents", "llm_config"],
  ["agents", "embedding_config"],
  ["archives", "embedding_config"],
  ["sources", "embedding_config"],
] as const;

/**
 * Letta stores a model's address in every agent, and in the provider that it makes agents by. So they are told when that address has
 * changed: the dev model had to take another port, or Letta asks through the gateway now, or no longer. Agents on a user's provider that
 * Letta asks itself are theirs and stay as they are.
 */
export async function moveModelEndpoint(place: Place, databaseUrl: string, models: Models): Promise<void> {
  const now = models.lettaEnv.OPENAI_API_BASE;
  if (now === undefined) return;
  const { modelBase, devModelBase } = readState(place.state);
  const before = modelBase ?? devModelBase;
  const leavesGateway = !models.usesGateway && before?.endsWith(GATEWAY_PATH) === true;
  if (!models.usesGateway && !models.needsDevModel && !leavesGateway) return;
  if (before !== now) {
    await inDatabase(databaseUrl, async (db) => {
      if (models.usesGateway) await moveAllToGateway(db, now);
      else if (before !== undefined) await replaceAddress(db, before, now);
      // Letta takes the address that agents are made with from the environment once, when it has no such provider yet. Models that went keep
      // their names taken; it lists them all anew when it starts.
      await db.query("update providers set base_url = $1 where name = 'openai' and organization_id is null", [now]);
      await db.query("delete from provider_models where organization_id is null");
    });
  }
  updateState(place.state, (state) => {
    state.modelBase = now;
    delete state.devModelBase;
  });
}

async function replaceAddress(db: pg.Client, before: string, now: string): Promise<void> {
  for (const [table, column] of COLUMNS) {
    const sql = `update ${table} set ${column} = replace(${column}::text, $1, $2)::json where ${column}::text like '%' || $1 || '%'`;
    await db.query(sql, [JSON.stringify(before), JSON.stringify(now)]);
    const ofTenants = `"${before.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}/of/[^"]*"`; // by which embeddings are accounted
    await db.query(
      `update ${table} set ${column} = regexp_replace(${column}::text, $1, $2, 'g')::json where ${column}::text ~ $1`,
      [ofTenants, JSON.stringify(now)],
    );
  }
}

/**
 * Every address, whatever it was: Letta has no key but the gateway's. Models of Anthropic's own API are asked as OpenAI's are, and those
 * that Letta would ask by OpenAI's newer API stand behind their upstream's name, as in the gateway's list.
 */
async function moveAllToGateway(db: pg.Client, now: string): Promise<void> {
  await db.query(
    `update agents a set llm_config = (a.llm_config::jsonb || jsonb_build_object(
        'model', c.model, 'handle', 'openai-proxy/' || c.model,
        'model_endpoint', $1::text, 'model_endpoint_type', 'openai', 'provider_name', 'openai'))::json
      from (select id, case when llm_config ->> 'model' ~ '^(o1|o3|o4|gpt-5)' then 'openai/' else '' end || (llm_config ->> 'model') as model
        from agents where llm_config ->> 'model_endpoint_type' in ('openai', 'anthropic')
          and coalesce(llm_config ->> 'handle', '') not like 'letta/%') c
      where c.id = a.id`,
    [now],
  );
  for (const [table, column] of COLUMNS.filter(([, name]) => name === "embedding_config")) {
    await db.query(
      `update ${table} t set ${column} = (${column}::jsonb || jsonb_build_object('embedding_endpoint',
          $1::text || coalesce((select '/of/' || u.id from users u where u.organization_id = t.organization_id order by u.id limit 1), '')))::json
        where ${column} ->> 'embedding_endpoint_type' = 'openai'`,
      [now],
    );
  }
}
