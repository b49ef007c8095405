import { secret } from "encore.dev/config";
import { createLetta, type Letta, parseUrls } from "../lib/letta-client";

const lettaApiKey = secret("LettaApiKey");

const URL_DEFAULT = "http://127.0.0.1:8283";

let client: Letta | undefined;

/** The process's one Letta client. Outside this service, `forOrg` is the way to Letta. */
export function letta(): Letta {
  client ??= createLetta({
    urls: parseUrls(process.env.LETTA_API_URL || URL_DEFAULT),
    apiKey: lettaApiKey(),
    limits: { ...streamsMax() },
  });
  return client;
}

/** LETTA_STREAMS_MAX: answers streaming at once, per Letta server. */
function streamsMax(): { streamsMax?: number } {
  const text = process.env.LETTA_STREAMS_MAX;
  if (text === undefined || text === "") return {};
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_000) {
    throw new Error("LETTA_STREAMS_MAX must be a whole number from 1 to 1000");
  }
  return { streamsMax: value };
}
