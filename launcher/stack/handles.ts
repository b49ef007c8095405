import { chooseHandle, type Models, type Provider } from "./models";

const ASK_TIMEOUT_MS = 5_000;

/**
 * The model that agents get when nobody names one, as Letta's handle. Letta lists models by tenant only and may not run yet, so the
 * providers are asked, which also shows a wrong key at once. Undefined leaves the choice to Graphyn: the first that Letta offers.
 */
export async function defaultHandle(models: Models): Promise<string | undefined> {
  if (models.named) return models.named;
  const listed = (await Promise.all(models.providers.map(listModels))).flat();
  const exact = models.preferredHandles.filter((handle) => !handle.endsWith("/"));
  return chooseHandle(models.preferredHandles, listed.length > 0 ? listed : exact);
}

async function listModels({ base, headers, prefix }: Provider): Promise<string[]> {
  try {
    const response = await fetch(`${base.replace(/\/+$/, "")}/models`, {
      headers,
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    const { data } = (await response.json()) as { data?: { id: string }[] };
    return (data ?? []).map(({ id }) => prefix + id);
  } catch {
    return []; // not every provider lists its models, and the first answer will say what is wrong
  }
}
