/** Every bound of the gateway, with its unit. */

export interface GatewayLimits {
  /** A TCP and TLS connection to an upstream, ms. */
  connectMsMax: number;
  /** From sending a request to its first token, ms. Models that think without saying so take their time. */
  firstTokenMsMax: number;
  /** Silence between tokens, ms. Comments that keep a connection open are silence. */
  idleMsMax: number;
  /** A whole answer with all attempts, ms. */
  totalMsMax: number;
}

const DEFAULTS: GatewayLimits = {
  connectMsMax: 5_000,
  firstTokenMsMax: 120_000,
  idleMsMax: 60_000,
  totalMsMax: 600_000,
};

const NAMES: Record<keyof GatewayLimits, string> = {
  connectMsMax: "MODEL_CONNECT_MS_MAX",
  firstTokenMsMax: "MODEL_FIRST_TOKEN_MS_MAX",
  idleMsMax: "MODEL_IDLE_MS_MAX",
  totalMsMax: "MODEL_TOTAL_MS_MAX",
};

/** The times above, each as its environment variable says or by default. */
export function readLimits(env: NodeJS.ProcessEnv = process.env): GatewayLimits {
  const limits = { ...DEFAULTS };
  for (const [key, name] of Object.entries(NAMES) as [keyof GatewayLimits, string][]) {
    const text = env[name];
    if (!text) continue;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1 || value > 3_600_000) {
      throw new Error(`${name} must be a whole number of milliseconds from 1 to 3600000`);
    }
    limits[key] = value;
  }
  return limits;
}

/** Requests to upstreams for one answer, over all upstreams. */
export const ATTEMPTS_MAX = 3;
/** Wait before an upstream is asked again, ms: the first, doubled each time, and each between half and all of it. */
export const BACKOFF_MS = 250;
/** A longer Retry-After is not waited for. */
export const RETRY_AFTER_MS_MAX = 5_000;

/** Answers at once, per upstream. Each takes a connection; beyond it the upstream counts as unavailable. */
export const IN_FLIGHT_MAX = 512;
/** An idle connection is kept this long, ms, or as long as the server says, up to the second. */
export const KEEP_ALIVE_MS = 30_000;
export const KEEP_ALIVE_MS_MAX = 300_000;

/** After the finish reason, only the usage is to come: how long it is waited for, ms. */
export const AFTER_FINISH_MS_MAX = 2_000;
/** One event of an upstream's stream, characters. A token takes some hundred, a tool call sent whole perhaps a million. */
export const EVENT_CHARS_MAX = 2_000_000;
/** One answer, characters of text, reasoning and arguments together. */
export const ANSWER_CHARS_MAX = 8_000_000;
/** Bytes of an answer that came whole although a stream was asked for. */
export const WHOLE_BYTES_MAX = 16 << 20;
/** Tool calls in one answer. */
export const TOOL_CALLS_MAX = 256;
/** An upstream's error is not read further, bytes. */
export const ERROR_BYTES_MAX = 64 << 10;

/** A request of Letta's: a whole conversation, with images. */
export const REQUEST_BYTES_MAX = 16 << 20;
/** A longer one is read so far, to be answered; beyond, its connection breaks. */
export const READ_BYTES_MAX = 64 << 20;

/** The list of an upstream's models: how long it is fresh, when a failed one is tried again, how long asking may take, its size. */
export const MODELS_FRESH_MS = 60_000;
export const MODELS_RETRY_MS = 5_000;
export const MODELS_MS_MAX = 5_000;
export const MODELS_BYTES_MAX = 8 << 20;
export const MODELS_LISTED_MAX = 2_000;

/** Embeddings: a whole request with its answer, and the answer's size (2048 texts of 3072 dimensions as base64 take 34 MB). */
export const EMBEDDINGS_MS_MAX = 60_000;
export const EMBEDDINGS_BYTES_MAX = 64 << 20;
export const EMBEDDINGS_ATTEMPTS_MAX = 2;
