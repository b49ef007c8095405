import { readJson, writePrivate } from "./files";
import { isRunning, type ProcessIdentity } from "./process-identity";

/** Those that others depend on first; they stop in the opposite order. */
export const SERVERS = ["postgres", "dev-model", "letta", "graphyn"] as const;
export type ServerName = (typeof SERVERS)[number];

/** What a place remembers from one command to the next. */
export interface State {
  /** Kept after a stop: inner servers get the same ports again. */
  ports: Partial<Record<ServerName, number>>;
  /** Written the moment a process exists, so that whatever happens next, somebody can end it. */
  processes: Partial<Record<ServerName, ProcessIdentity>>;
  /** The model's address as Letta's agents know it. */
  modelBase?: string;
  /** The same, as earlier versions called it. */
  devModelBase?: string;
  /** When the stack became ready (RFC 3339); absent while it starts and after it stopped. */
  readyAt?: string;
  /** The first conversation was held. */
  welcomed?: boolean;
  /** Where `./graphyn chat` goes on. */
  chatThread?: string;
}

export function readState(file: string): State {
  return { ports: {}, processes: {}, ...readJson<Partial<State>>(file) };
}

/** Changes the state and writes it. The lock of the place sees to it that one process at a time does. */
export function updateState(file: string, change: (state: State) => void): State {
  const state = readState(file);
  change(state);
  writePrivate(file, `${JSON.stringify(state, null, 2)}\n`);
  return state;
}

/** The servers that run, in starting order. A pid that now belongs to another process does not count. */
export function runningServers(state: State): { name: ServerName; process: ProcessIdentity }[] {
  return SERVERS.flatMap((name) => {
    const process = state.processes[name];
    return process && isRunning(process) ? [{ name, process }] : [];
  });
}
