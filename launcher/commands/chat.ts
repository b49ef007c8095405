import type { Api } from "../conversation/api";
import { call } from "../conversation/api";
import { ask, type Context } from "../conversation/ask";
import { answersView } from "../conversation/show-answers";
import { Fault } from "../fault";
import { place } from "../paths";
import { readEnv } from "../stack/env-file";
import { readState, updateState } from "../stack/state";
import { readOptions } from "./options";

/** `./graphyn chat "text" [--new]`: says it in the terminal's thread, or in a new one with the same agents, and shows the answers. */
export async function chat(args: readonly string[]): Promise<number> {
  const { values, positionals } = readOptions(args, { new: { type: "boolean" } });
  const content = positionals.join(" ").trim();
  if (content === "") throw new Fault("There is nothing to say.", './graphyn chat "What should we do first?"');
  const here = place("start");
  const { GRAPHYN_URL: url, GRAPHYN_API_KEY: key } = readEnv(here.env);
  if (!url || !key) throw new Fault("Graphyn has not been started here yet.", "./graphyn start");
  const api = { url, key };
  const known = values.new ? undefined : readState(here.state).chatThread;
  const thread = known ? await openThread(api, known) : await newThread(api);
  updateState(here.state, (state) => {
    state.chatThread = thread.id;
  });
  const view = answersView();
  try {
    const answers = await ask(api, thread, { content }, view.update);
    if (answers.length === 0) console.log("The message is stored. No agent takes part in this thread.");
    return answers.some(({ error }) => error !== undefined) ? 1 : 0;
  } finally {
    view.end();
  }
}

async function openThread(api: Api, id: string): Promise<{ id: string; cursor: string }> {
  const { context } = await call<{ context: Context }>(api, "GET", `/threads/${id}`);
  return { id, cursor: context.cursor };
}

async function newThread(api: Api): Promise<{ id: string; cursor: string }> {
  const { agents } = await call<{ agents: { id: string }[] }>(api, "GET", "/agents");
  const body = { title: "From the terminal", agents: agents.slice(0, 2).map(({ id }) => id) };
  const { thread, context } = await call<{ thread: { id: string }; context: Context }>(api, "POST", "/threads", body);
  return { id: thread.id, cursor: context.cursor };
}
