import { type Api, call } from "./api";
import { ask, type Context } from "./ask";

const AGENTS_MAX = 2;

/**
 * A fresh Letta's first answer takes seconds, as it loads its modules only then. A thread that is erased again takes it. For
 * the dev model only: with a real one it would cost tokens.
 */
export async function warmUp(api: Api, agents: readonly string[]): Promise<void> {
  const body = { title: "Warming up", agents: agents.slice(0, AGENTS_MAX) };
  const { thread, context } = await call<{ thread: { id: string }; context: Context }>(api, "POST", "/threads", body);
  try {
    await ask(api, { id: thread.id, cursor: context.cursor }, { content: "Hello" }, () => undefined);
  } finally {
    await call(api, "DELETE", `/threads/${thread.id}?purge=true`);
  }
}

/** The agents there are, if any. */
export async function agentIds(api: Api): Promise<string[]> {
  const { agents } = await call<{ agents: { id: string }[] }>(api, "GET", "/agents");
  return agents.map(({ id }) => id);
}
