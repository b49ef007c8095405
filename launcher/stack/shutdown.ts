import type { Place } from "../paths";
import { step } from "../terminal/progress";
import { stopDevModel } from "./dev-model";
import { stopGraphyn } from "./graphyn";
import { stopLetta } from "./letta";
import { stopPostgres } from "./postgres";
import type { ProcessIdentity } from "./process-identity";
import { readState, runningServers, type ServerName, updateState } from "./state";

const STOP: Readonly<Record<ServerName, (process: ProcessIdentity) => Promise<boolean>>> = {
  graphyn: stopGraphyn,
  letta: stopLetta,
  "dev-model": stopDevModel,
  postgres: stopPostgres,
};

export const TITLES: Readonly<Record<ServerName, string>> = {
  graphyn: "Graphyn",
  letta: "Letta",
  "dev-model": "Dev model",
  postgres: "PostgreSQL",
};

/** Stops what the place's state says is running, those that depend on others first. Returns how many there were. */
export async function stopServers(place: Place): Promise<number> {
  const running = runningServers(readState(place.state)).reverse();
  for (const { name, process } of running) {
    await step(TITLES[name], "stopping", async () => {
      await STOP[name](process);
      updateState(place.state, (state) => delete state.processes[name]);
      return "stopped";
    });
  }
  updateState(place.state, (state) => {
    state.processes = {};
    delete state.readyAt;
  });
  return running.length;
}
