export { embed } from "./embeddings";
export { LISTED_MODELS } from "./models";
export type { RecordedRequest } from "./recorder";
export { type DevModel, type DevModelOptions, startDevModel } from "./server";
