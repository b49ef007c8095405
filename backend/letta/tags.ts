/** On everything Graphyn makes in Letta: what lacks it is not Graphyn's, and is never touched. */
export const GRAPHYN_TAG = "graphyn";

/** Names in Letta the agent or version of ours that a thing was made for, so that it is found again after a crash. */
export function tagOf(id: string): string {
  return `${GRAPHYN_TAG}:${id}`;
}
