/** Arm M: the model itself, asked as Letta asks it. */
import type { Arm } from "./arms";
import { type Api, postAndStream, type StreamEvent } from "./http";

/** An OpenAI chunk with a token of text. */
export function isModelText({ data }: StreamEvent): boolean {
  if (data === "[DONE]") return false;
  const chunk = JSON.parse(data) as { choices: { delta?: { content?: string } }[] };
  return (chunk.choices[0]?.delta?.content ?? "") !== "";
}

export function modelArm(api: Api, model: string, historyMessages: number): Arm {
  const history = Array.from({ length: historyMessages }, (_, i) => ({
    role: i % 2 === 0 ? "user" : "assistant",
    content: `Message ${i + 1} of the conversation so far, about as long as people write.`,
  }));
  const messages = [
    { role: "system", content: "You are Ada." },
    ...history,
    { role: "user", content: "Good morning." },
  ];
  return {
    name: "M",
    prepare: async () => () =>
      postAndStream(api, "/v1/chat/completions", { model, messages, stream: true }, isModelText),
  };
}
