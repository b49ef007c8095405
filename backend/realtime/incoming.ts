import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { invalid } from "../lib/errors";
import asyncapi from "./asyncapi.gen.json";
import type { ClientMessage } from "./protocol";

/**
 * What Encore takes from a client. Every field may be anything: Encore drops in silence what does not fit the type, and we want to say what
 * is wrong. (What is no JSON object at all never reaches us.)
 */
export interface Incoming {
  type?: unknown;
  id?: unknown;
  content?: unknown;
  mentions?: unknown;
  sender_id?: unknown;
  when_busy?: unknown;
  turn_id?: unknown;
  message_id?: unknown;
  emoji?: unknown;
  remove?: unknown;
  seq?: unknown;
  typing?: unknown;
}

const ajv = new Ajv({ strict: false, schemas: { asyncapi } });
const checks = new Map<string, ValidateFunction<ClientMessage>>();
for (const { $ref } of asyncapi.operations.clientSays.messages) {
  const name = $ref.split("/").at(-1) as keyof typeof asyncapi.components.messages;
  const check = ajv.compile<ClientMessage>({ $ref: `asyncapi#/components/schemas/${name}` });
  checks.set(asyncapi.components.messages[name].name, check);
}

/** The message as the protocol has it; throws the refusal that says what does not fit. Quotes nothing of what was sent. */
export function requireMessage(incoming: Incoming): ClientMessage {
  const check = typeof incoming.type === "string" ? checks.get(incoming.type) : undefined;
  if (!check) {
    throw invalid(
      "unknown_message_type",
      "This message has no type that the protocol knows.",
      `type: one of ${[...checks.keys()].join(", ")}.`,
      { types: [...checks.keys()] },
    );
  }
  if (check(incoming)) return incoming;
  throw invalid(
    "bad_message",
    `${incoming.type}: ${(check.errors ?? []).map(sentence).join("; ")}.`,
    "The protocol is at /asyncapi.json, and in docs/realtime.md.",
  );
}

function sentence({ instancePath, message }: ErrorObject): string {
  return `${instancePath.slice(1).replaceAll("/", ".")} ${message ?? "does not fit"}`.trim();
}

/** The message's own id, to answer it by, if it has one that can be. */
export function idOf({ id }: Incoming): string | null {
  return typeof id === "string" && id.length <= 200 ? id : null;
}
