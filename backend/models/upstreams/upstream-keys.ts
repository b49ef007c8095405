import { secret } from "encore.dev/config";
import { isObject, parseJson } from "../json";
import type { Upstream } from "./upstream";

/** JSON: the name of an upstream (or its key_secret) -> its key. */
const modelUpstreamKeys = secret("ModelUpstreamKeys");

let parsed: { text: string; keys: Record<string, unknown> } | undefined;

/** The operator's key of an upstream; undefined when there is none, which suits servers that ask for none. */
export function operatorKey(upstream: Upstream): string | undefined {
  const text = modelUpstreamKeys();
  if (parsed?.text !== text) {
    const keys = text === "" ? {} : parseJson(text);
    if (!isObject(keys))
      throw new Error('The secret ModelUpstreamKeys must be JSON: {"name of an upstream": "its key"}');
    parsed = { text, keys };
  }
  const key = parsed.keys[upstream.keySecret ?? upstream.name];
  if (typeof key === "string" && key !== "") return key;
  return (upstream.keyEnv && process.env[upstream.keyEnv]) || undefined;
}
