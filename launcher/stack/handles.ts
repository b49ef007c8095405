import { chooseHandle, type Models } from "./models";

const ASK_TIMEOUT_MS = 5_000;
const ANTHROPIC_VERSION = "2023-06-01";

/**
 * The model that agents get when nobody names one, as Letta's handle. Letta lists models by tenant only, so the providers
 * are asked, which also shows a wrong key at once. Undefined leaves the choice to Graphyn: the first that Letta offers.
 */
export async function defaultHandle(models: Models, named: string | undefined): Promise<string | undefined> {
  if (named) return named;
  const { OPENAI_API_BASE, OPENAI_API_KEY, ANTHROPIC_API_KEY } = models.lettaEnv;
  const anthropic = ANTHROPIC_API_KEY
    ? await listModels("https://api.anthropic.com/v1", {
        "x-api-key": ANTHROPIC_API_KEY,
        "anthropic-version": ANTHROPIC_VERSION,
      })
    : [];
  const openai = OPENAI_API_BASE
    ? await listModels(OPENAI_API_BASE, { authorization: `Bearer ${OPENAI_API_KEY}` })
    : [];
  const prefix = OPENAI_API_BASE === "https://api.openai.com/v1" ? "openai" : "openai-proxy";
  const listed = [...anthropic.map((id) => `anthropic/${id}`), ...openai.map((id) => `${prefix}/${id}`)];
  const exact = models.preferredHandles.filter((handle) => !handle.endsWith("/"));
  return chooseHandle(models.preferredHandles, listed.length > 0 ? listed : exact);
}

async function listModels(base: string, headers: Record<string, string>): Promise<string[]> {
  try {
    const response = await fetch(`${base.replace(/\/+$/, "")}/models`, {
      headers,
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    const { data } = (await response.json()) as { data?: { id: string }[] };
    return (data ?? []).map(({ id }) => id);
  } catch {
    return []; // not every provider lists its models, and Letta will say what is wrong when it asks itself
  }
}
