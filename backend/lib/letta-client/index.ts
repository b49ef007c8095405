/**
 * The only place that knows Letta's REST (self-hosted Letta 0.16.8). Everything else speaks the types exported here; another driver can
 * stand behind them one day.
 */
export type { LettaAdmin } from "./admin";
export { DEFAULT_LIMITS, type LettaConfig, type LettaLimits, parseUrls } from "./config";
export { type Blame, LettaError, type LettaErrorKind } from "./errors";
export type { LettaEvent } from "./events";
export { createLetta, type Letta, type LettaHealth, type PoolFigures } from "./letta";
export type { AskLetta } from "./messages";
export { identifierKey, type LettaOrg, type LettaTenant } from "./org";
export type {
  LettaAgent,
  LettaBlock,
  LettaEmbedding,
  LettaMessage,
  LettaModel,
  LettaRun,
  LettaTool,
  NewAgent,
  NewBlock,
} from "./resources";
