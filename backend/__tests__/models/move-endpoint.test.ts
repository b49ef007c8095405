import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { place } from "../../../launcher/paths";
import { migrateLetta } from "../../../launcher/stack/letta";
import { moveModelEndpoint } from "../../../launcher/stack/letta-endpoints";
import { newestMigration } from "../../../launcher/stack/letta-migrations";
import { chooseModels, GATEWAY_PATH } from "../../../launcher/stack/models";
import { readState } from "../../../launcher/stack/state";
import { adminQuery } from "../harness/database";
import { newLettaDatabase } from "../harness/own-letta";

/** Letta's migrations, where no template is kept. */
const MIGRATE_MS_MAX = 240_000;
const DEV = "http://127.0.0.1:8284/v1";
const OPENAI = "https://api.openai.com/v1";
const gatewayAt = (port: number) => ({ base: `http://127.0.0.1:${port}${GATEWAY_PATH}`, key: "gateway-key" });

interface LlmConfig {
  model: string;
  model_endpoint: string;
  model_endpoint_type: string;
  handle: string;
  provider_name: string;
  context_window: number;
}

const llm = (handle: string, type: string, endpoint: string): LlmConfig => ({
  model: handle.slice(handle.indexOf("/") + 1),
  model_endpoint: endpoint,
  model_endpoint_type: type,
  handle,
  provider_name: handle.slice(0, handle.indexOf("/")),
  context_window: 30_000,
});
const embedding = (endpoint: string, type = "openai") => ({
  embedding_model: "text-embedding-3-small",
  embedding_endpoint: endpoint,
  embedding_endpoint_type: type,
  embedding_dim: 1536,
});

/** Agents as Letta makes them on each kind of provider. */
const AGENTS: Record<string, LlmConfig> = {
  "on OpenAI": llm("openai/gpt-4.1-mini", "openai", OPENAI),
  "on OpenAI's newer API": llm("openai/gpt-5-mini", "openai", OPENAI),
  "on Anthropic": llm("anthropic/claude-sonnet-4-5", "anthropic", "https://api.anthropic.com/v1"),
  "on a server of the user's": llm("openai-proxy/qwen3", "openai", "http://10.0.0.7:8000/v1"),
  "on the dev model": llm("openai-proxy/dev", "openai", DEV),
  "on Letta's own service": llm("letta/letta-free", "openai", "https://inference.letta.com/v1"),
};

let letta: Awaited<ReturnType<typeof newLettaDatabase>>;
const dir = mkdtempSync(join(tmpdir(), "graphyn-move-"));
const here = { ...place("test"), dir, logs: join(dir, "logs"), state: join(dir, "state.json") };

beforeAll(async () => {
  letta = await newLettaDatabase();
  if (!letta.isMigrated) {
    const options = {
      place: here,
      port: 1,
      databaseUrl: letta.databaseUrl,
      password: "none",
      models: chooseModels({}, DEV),
    };
    await migrateLetta(options, newestMigration());
  }
  const insert = (sql: string, values: unknown[]) => adminQuery(letta.databaseUrl, sql, values);
  await insert("insert into organizations (id, name, privileged_tools) values ('org-1', 'one', false)", []);
  await insert("insert into users (id, name, organization_id) values ('user-1', 'one', 'org-1')", []);
  for (const [name, config] of Object.entries(AGENTS)) {
    await insert(
      `insert into agents (id, organization_id, name, message_buffer_autoclear, llm_config, embedding_config)
        values ($1, 'org-1', $2, false, $3, $4)`,
      [`agent-${name}`, name, JSON.stringify(config), JSON.stringify(embedding(DEV))],
    );
  }
  for (const [id, config] of Object.entries({
    ours: embedding(OPENAI),
    theirs: embedding("http://tei", "hugging-face"),
  }))
    await insert(
      `insert into archives (id, name, organization_id, vector_db_provider, embedding_config)
        values ($1, $1, 'org-1', 'NATIVE', $2)`,
      [id, JSON.stringify(config)],
    );
  await insert("insert into providers (id, name, base_url) values ('provider-1', 'openai', $1)", [OPENAI]);
  await insert(
    `insert into provider_models (id, handle, display_name, name, provider_id, model_type, model_endpoint_type)
      values ('model-1', 'openai/gpt-4.1-mini', 'mini', 'gpt-4.1-mini', 'provider-1', 'llm', 'openai')`,
    [],
  );
}, MIGRATE_MS_MAX);
afterAll(async () => {
  await letta?.drop();
  rmSync(dir, { recursive: true, force: true });
});

async function agents(): Promise<Record<string, LlmConfig>> {
  const rows = await adminQuery<{ name: string; llm_config: LlmConfig }>(
    letta.databaseUrl,
    "select name, llm_config from agents",
  );
  return Object.fromEntries(rows.map(({ name, llm_config }) => [name, llm_config]));
}

async function embeddings(table: "agents" | "archives"): Promise<string[]> {
  const rows = await adminQuery<{ at: string }>(
    letta.databaseUrl,
    `select embedding_config ->> 'embedding_endpoint' as at from ${table} order by id`,
  );
  return rows.map(({ at }) => at);
}

async function provider() {
  const [row] = await adminQuery<{ base_url: string; models: number }>(
    letta.databaseUrl,
    "select base_url, (select count(*)::int from provider_models) as models from providers",
  );
  return row;
}

/** As the gateway lists it, at the gateway's address; the rest as it was. */
function moved(of: LlmConfig | undefined, model: string, base: string) {
  return {
    ...of,
    ...{ model, handle: `openai-proxy/${model}`, model_endpoint: base },
    ...{ model_endpoint_type: "openai", provider_name: "openai" },
  };
}

describe("agents that were made on real providers (RUN-1, SEC-1)", () => {
  const expected = (base: string) => ({
    "on OpenAI": moved(AGENTS["on OpenAI"], "gpt-4.1-mini", base),
    "on OpenAI's newer API": moved(AGENTS["on OpenAI's newer API"], "openai/gpt-5-mini", base),
    "on Anthropic": moved(AGENTS["on Anthropic"], "claude-sonnet-4-5", base),
    "on a server of the user's": moved(AGENTS["on a server of the user's"], "qwen3", base),
    "on the dev model": moved(AGENTS["on the dev model"], "dev", base),
    "on Letta's own service": AGENTS["on Letta's own service"],
  });

  it("are asked through the gateway once it is there, as its list names their models", async () => {
    const gateway = gatewayAt(4000);
    await moveModelEndpoint(here, letta.databaseUrl, chooseModels({ MODEL_UPSTREAMS: "[…]" }, DEV, gateway));
    expect(await agents()).toEqual(expected(gateway.base));
    const own = `${gateway.base}/of/user-1`; // embeddings are accounted by their tenant's address
    expect(new Set(await embeddings("agents"))).toEqual(new Set([own]));
    expect(await embeddings("archives")).toEqual([own, "http://tei"]);
    expect(await provider()).toEqual({ base_url: gateway.base, models: 0 }); // Letta lists them anew when it starts
    expect(readState(here.state).modelBase).toBe(gateway.base);
  });

  it("follow the gateway to another port, and are not named twice", async () => {
    const gateway = gatewayAt(4001);
    await moveModelEndpoint(here, letta.databaseUrl, chooseModels({ MODEL_UPSTREAMS: "[…]" }, DEV, gateway));
    expect(await agents()).toEqual(expected(gateway.base));
    expect(await embeddings("archives")).toEqual([`${gateway.base}/of/user-1`, "http://tei"]);
  });

  it("are asked by Letta itself when the gateway is left", async () => {
    await moveModelEndpoint(here, letta.databaseUrl, chooseModels({ OPENAI_API_KEY: "key" }, DEV));
    expect((await agents())["on OpenAI"]).toMatchObject({ model: "gpt-4.1-mini", model_endpoint: OPENAI });
    expect(await embeddings("archives")).toEqual([OPENAI, "http://tei"]);
    expect(new Set(await embeddings("agents"))).toEqual(new Set([OPENAI]));
    expect(await provider()).toMatchObject({ base_url: OPENAI });
  });
});
