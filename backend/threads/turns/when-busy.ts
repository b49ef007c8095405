import { ErrCode } from "encore.dev/api";
import { problem } from "../../lib/errors";
import type { AgentSeat, RunningTurn, ThreadState } from "../thread-context";

/**
 * What a new message does at an agent that is still answering:
 *
 * | `enqueue`   | it is answered when the answer under way, and those that wait already, have ended |
 * | `interrupt` | the answer under way is stopped, what was said is kept, and the message waits for nothing but what waited before it |
 * | `reject`    | it is refused, and not said |
 * | `steer`     | it joins the answer under way at its next step; when there is none, it is answered as with `enqueue` |
 */
export type WhenBusy = "enqueue" | "interrupt" | "reject" | "steer";

/** What a message does at one agent. */
export type Disposition = "starting" | "enqueued" | "interrupting" | "steering";

/**
 * The turn each of these agents is at, by agent: the running one; the one that comes next when that is being stopped already, or when it
 * has not begun yet. Agents that are not answering are not in it.
 */
export function turnsAt(state: ThreadState, seats: AgentSeat[]): Map<string, RunningTurn> {
  const at = new Map<string, RunningTurn>();
  for (const { agent_id } of seats) {
    const live = state.context.running_turns.filter((turn) => turn.agent_id === agent_id);
    const running = live.find((turn) => turn.state === "running");
    const next = live.find((turn) => turn.state === "queued");
    const turn = running && !running.cancelling ? running : (next ?? running);
    if (turn) at.set(agent_id, turn);
  }
  return at;
}

/** Refuses a message that is to be said only to agents that listen. */
export function refuseBusy(busy: Map<string, RunningTurn>): void {
  if (busy.size === 0) return;
  throw problem(
    ErrCode.Aborted,
    "agent_busy",
    "An agent that this message is for is still answering.",
    "Say it again when the turns in details.running_turns have ended, or with when_busy enqueue, interrupt or steer.",
    { running_turns: [...busy.values()] },
  );
}
