/** What is measured: each a way from a person's message to an agent's answer, with the same model behind it. */
import { setTimeout as sleep } from "node:timers/promises";
import { agnoText, newSession } from "../lib/agno";
import type { Arm, Sample } from "../lib/arms";
import { createThread, type Organization, openStream, postAndFollow } from "../lib/graphyn";
import { type Api, postAndStream, type StreamEvent } from "../lib/http";
import { createConversation, lettaMessage } from "../lib/letta";

/** Hears each piece of the answer, and when it arrived (performance.now()). */
export type OnText = (text: string, arrived: number) => void;

/** One conversation while it is used: a message and its answer at a time. */
export interface Line {
  send(onText?: OnText): Promise<Sample>;
  close(): void;
}

export interface Target {
  name: string;
  title: string;
  /** Begins a conversation with the agent of that model; returns what opens a line to it, as often as it is visited. */
  begin(model: string): Promise<() => Promise<Line>>;
}

const TEXT = "Good morning, what is on today?";

export function modelTarget(api: Api): Target {
  return {
    name: "M",
    title: "the model itself",
    begin: async (model) => {
      const messages = [
        { role: "system", content: "You are Ada." },
        { role: "user", content: TEXT },
      ];
      return lineOf(api, "/v1/chat/completions", () => ({ model, messages, stream: true }), modelText);
    },
  };
}

/** Relaying tokens: the fastest way there is without Graphyn. The agent's model is the model itself, without the gateway. */
export function lettaTarget(letta: Api, agents: ReadonlyMap<string, string>): Target {
  return {
    name: "L",
    title: "Letta directly, relaying",
    begin: async (model) => {
      const conversation = await createConversation(letta, agents.get(model) ?? "");
      return lineOf(letta, `/v1/conversations/${conversation}/messages`, () => lettaMessage(TEXT), lettaText);
    },
  };
}

export function graphynTarget(
  name: string,
  title: string,
  { api }: Organization,
  agents: ReadonlyMap<string, string>,
): Target {
  return {
    name,
    title,
    begin: async (model) => {
      const threadId = await createThread(api, [agents.get(model) ?? ""]);
      return async () => {
        const stream = await openStream(api, threadId);
        return {
          send: async (onText) => {
            const { first_text_ms, total_ms, parts } = await postAndFollow(api, threadId, stream, TEXT, onText);
            return { first_text_ms, total_ms, ...(parts ? { parts } : {}) };
          },
          close: () => stream.close(),
        };
      };
    },
  };
}

export function agnoTarget(api: Api): Target {
  return {
    name: "AGNO",
    title: "Agno AgentOS",
    begin: async (model) => {
      const session = newSession();
      return lineOf(api, `/agents/${model}/runs`, () => session(TEXT), agnoText);
    },
  };
}

/**
 * The arms of one model. Conversations go on from visit to visit, in every arm alike, so a visit measures a message in a conversation that
 * has been going on; the visit in which they begin is a warm-up. `each` messages follow one another in a slot.
 */
export function armsFor(
  targets: readonly Target[],
  model: string,
  conversations: Map<string, () => Promise<Line>>,
  each = 1,
): Arm[] {
  return targets.map((target) => ({
    name: target.name,
    prepare: async (slot) => {
      const key = `${target.name} ${model} ${slot}`;
      const open = conversations.get(key) ?? (await target.begin(model));
      conversations.set(key, open);
      const line = await open();
      return async () => {
        try {
          const samples: Sample[] = [];
          for (let i = 0; i < each; i++) samples.push(await line.send());
          const mean = (value: (sample: Sample) => number) =>
            samples.reduce((sum, sample) => sum + value(sample), 0) / samples.length;
          return {
            first_text_ms: mean((sample) => sample.first_text_ms),
            total_ms: mean((sample) => sample.total_ms),
            ...(each > 1 ? { parts: { answers: each } } : {}),
          };
        } finally {
          line.close();
        }
      };
    },
  }));
}

function lineOf(api: Api, path: string, body: () => object, textOf: (event: StreamEvent) => string) {
  return async (): Promise<Line> => ({
    send: (onText) =>
      postAndStream(
        api,
        path,
        body(),
        (event) => textOf(event) !== "",
        onText && ((event, arrived) => onText(textOf(event), arrived)),
      ),
    close: () => undefined,
  });
}

function modelText({ data }: StreamEvent): string {
  if (data === "[DONE]") return "";
  const { choices } = JSON.parse(data) as { choices: { delta?: { content?: string } }[] };
  return choices[0]?.delta?.content ?? "";
}

function lettaText({ data }: StreamEvent): string {
  if (data === "[DONE]") return "";
  const event = JSON.parse(data) as { message_type?: string; content?: unknown };
  return event.message_type === "assistant_message" && typeof event.content === "string" ? event.content : "";
}

/** Between visits that must not share a second: lets servers finish what they do after an answer. */
export const pause = () => sleep(300);
