import { Fault } from "../fault";
import { type Api, call } from "./api";
import { threadEvents } from "./thread-events";

/** All answers to one message come within this, or the rest is not waited for. */
const ANSWERS_TIMEOUT_MS = 180_000;

/** One agent's answer as it comes. Times are counted from the moment the message was sent, at this client. */
export interface Answer {
  readonly agentId: string;
  readonly name: string;
  text: string;
  firstTokenMs: number | undefined;
  endedMs: number | undefined;
  /** What went wrong, if this turn failed. */
  error: string | undefined;
}

interface Posted {
  readonly turns: readonly { id: string; agent_id: string }[];
  readonly context: Context;
}

export interface Context {
  readonly cursor: string;
  readonly participants: readonly { agent_id: string | null; name: string }[];
}

/**
 * Says something in a thread and follows the answers, as a client does: the stream is opened first, then the message is
 * posted. `onChange` is called whenever there is something new to show; returns when every answering agent has ended.
 */
export async function ask(
  api: Api,
  thread: { id: string; cursor: string },
  body: { content: string; sender_id?: string },
  onChange: (answers: readonly Answer[]) => void,
): Promise<readonly Answer[]> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ANSWERS_TIMEOUT_MS);
  const byTurn = new Map<string, Answer>();
  const answers: Answer[] = [];
  let sentAt = 0;
  let posting: Promise<void> | undefined;
  let names = new Map<string | null, string>();
  const answerOf = (turnId: string, agentId: string): Answer => {
    let answer = byTurn.get(turnId);
    if (!answer) {
      answer = {
        agentId,
        name: names.get(agentId) ?? agentId,
        text: "",
        firstTokenMs: undefined,
        endedMs: undefined,
        error: undefined,
      };
      byTurn.set(turnId, answer);
      answers.push(answer);
    }
    return answer;
  };
  const post = async () => {
    const { turns, context } = await call<Posted>(api, "POST", `/threads/${thread.id}/messages`, body);
    names = new Map(context.participants.map((p) => [p.agent_id, p.name]));
    for (const turn of turns) answerOf(turn.id, turn.agent_id);
    if (turns.length === 0) abort.abort();
    onChange(answers);
  };
  try {
    for await (const event of threadEvents(api, thread.id, thread.cursor, abort.signal)) {
      if (event.type === "caught_up" && !posting) {
        sentAt = performance.now();
        posting = post();
        posting.catch(() => abort.abort());
      }
      if (event.type === "turn_started") names.set(event.agent_id, event.agent_name);
      if (!("turn_id" in event)) continue;
      const answer = answerOf(event.turn_id, event.agent_id);
      if (event.type === "ai_chunk") {
        answer.firstTokenMs ??= performance.now() - sentAt;
        answer.text += event.content;
      } else if (event.type !== "turn_started") {
        answer.endedMs = performance.now() - sentAt;
        if (event.type === "agent_error") answer.error = event.error;
      }
      onChange(answers);
      await posting; // from here on the number of turns is known
      if (answers.every(({ endedMs }) => endedMs !== undefined)) break;
    }
  } catch (error) {
    await posting;
    if (!abort.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
  if (answers.some(({ endedMs }) => endedMs === undefined)) {
    throw new Fault(
      `Not every agent answered within ${ANSWERS_TIMEOUT_MS / 1000} s.`,
      "See ./graphyn doctor and ./graphyn logs.",
    );
  }
  return answers;
}
