/**
 * What a thread and its branches are, as simply as it can be said: lists. No log, no spans, no SQL. The property test does the same things
 * to this and to a server and compares.
 */
export interface Said {
  /** What tells it from every other message of the run; a copy's is its origin's. */
  text: string;
  by: "person" | "agent";
}

export interface ThreadModel {
  isArchived: boolean;
  current: number;
  /** By number, from 1: what each branch consists of. */
  branches: Said[][];
}

export function newThreadModel(said: Said[] = []): ThreadModel {
  return { isArchived: false, current: 1, branches: [said] };
}

/** The conversation as people and agents see it. */
export function visible(thread: ThreadModel): Said[] {
  return thread.branches[thread.current - 1] ?? [];
}

export function say(thread: ThreadModel, ...said: Said[]): void {
  visible(thread).push(...said);
}

/** The first `keep` messages go on in a new branch. */
export function branchOff(thread: ThreadModel, kept: Said[]): void {
  thread.branches.push([...kept]);
  thread.current = thread.branches.length;
}

export function restore(thread: ThreadModel, branch: number): void {
  thread.current = branch;
}

export function fork(thread: ThreadModel, keep: number): ThreadModel {
  return newThreadModel(visible(thread).slice(0, keep));
}

export function split(thread: ThreadModel, keep: number): ThreadModel {
  const tail = visible(thread).slice(keep);
  branchOff(thread, visible(thread).slice(0, keep));
  return newThreadModel(tail);
}

export function merge(thread: ThreadModel, from: ThreadModel): void {
  say(thread, ...visible(from));
  from.isArchived = true;
}
