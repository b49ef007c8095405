import type { Place } from "../paths";
import { inDatabase } from "./databases";
import type { Models } from "./models";
import { readState, updateState } from "./state";

/** Where Letta keeps the address of the model beside what uses it. */
const COLUMNS = [
  ["agents", "llm_config"],
  ["agents", "embedding_config"],
  ["archives", "embedding_config"],
  ["sources", "embedding_config"],
] as const;

/**
 * Letta stores a model's address in every agent. When the dev model had to take another port, because its own was taken in
 * the meantime, the agents made on it are told. Agents on a user's provider are theirs and stay as they are.
 */
export async function moveModelEndpoint(place: Place, databaseUrl: string, models: Models): Promise<void> {
  const now = models.lettaEnv.OPENAI_API_BASE;
  if (!models.needsDevModel || now === undefined) return;
  const before = readState(place.state).devModelBase;
  if (before !== undefined && before !== now) {
    await inDatabase(databaseUrl, async (db) => {
      for (const [table, column] of COLUMNS) {
        const sql = `update ${table} set ${column} = replace(${column}::text, $1, $2)::json where ${column}::text like '%' || $1 || '%'`;
        await db.query(sql, [JSON.stringify(before), JSON.stringify(now)]);
      }
    });
  }
  updateState(place.state, (state) => {
    state.devModelBase = now;
  });
}
