import { step } from "../terminal/progress";
import { bold, cyan, dim } from "../terminal/style";
import { type Api, call } from "./api";
import { type Answer, ask, type Context } from "./ask";
import { answersView } from "./show-answers";
import { warmUp } from "./warm-up";

const PERSON = "Robin";
const AGENTS = [
  {
    name: "Planner",
    system_prompt:
      "You are Planner. You turn what people want into a short list of next steps, and say which comes first.",
  },
  {
    name: "Critic",
    system_prompt:
      "You are Critic. You say, kindly and in two sentences, what could go wrong with a plan and what to check first.",
  },
] as const;
const TITLE = "The first conversation";
const MESSAGE = "Hello both! Robin and I are opening a small bookshop in spring. What should we think of first?";

/**
 * Holds the first conversation by the public API alone: two people, two agents, one thread, one message, two answers.
 * What exists from an earlier attempt is used again. `isWarmedUp`: the agents are asked once before it.
 */
export async function firstConversation(
  api: Api,
  isWarmedUp: boolean,
): Promise<{ threadId: string; answers: readonly Answer[] }> {
  let person = "";
  let agents: string[] = [];
  await step("Agents", "making them in Letta", async ({ say }) => {
    person = await findOrAdd(api);
    agents = await Promise.all(AGENTS.map((agent) => findOrCreate(api, agent)));
    const names = AGENTS.map(({ name }) => name).join(" and ");
    if (!isWarmedUp) return `${names}, made in Letta`;
    say("warming up");
    await warmUp(api, agents);
    return `${names}, made in Letta and warmed up`;
  });
  console.log();
  const body = { title: TITLE, people: [person], agents };
  const { thread, context } = await call<{ thread: { id: string }; context: Context }>(api, "POST", "/threads", body);
  console.log(`  ${bold(TITLE)}  ${dim(thread.id)}`);
  console.log(`  ${dim(`people: You, ${PERSON}   agents: ${AGENTS.map(({ name }) => name).join(", ")}`)}\n`);
  console.log(`  ${bold(cyan("You"))}\n  ${MESSAGE}\n`);
  const view = answersView();
  try {
    const answers = await ask(api, { id: thread.id, cursor: context.cursor }, { content: MESSAGE }, view.update);
    return { threadId: thread.id, answers };
  } finally {
    view.end();
  }
}

async function findOrAdd(api: Api): Promise<string> {
  const { people } = await call<{ people: { id: string; name: string }[] }>(api, "GET", "/people");
  const known = people.find(({ name }) => name === PERSON);
  return (known ?? (await call<{ id: string }>(api, "POST", "/people", { name: PERSON }))).id;
}

async function findOrCreate(api: Api, wanted: (typeof AGENTS)[number]): Promise<string> {
  const { agents } = await call<{ agents: { id: string; name: string }[] }>(api, "GET", "/agents");
  const known = agents.find(({ name }) => name === wanted.name);
  return known?.id ?? (await call<{ agent_id: string }>(api, "POST", "/agents", wanted)).agent_id;
}
