import { Fault } from "../fault";
import { place } from "../paths";
import { readEnv } from "../stack/env-file";
import { loadSecrets } from "../stack/secrets";

/** A Graphyn that a command is for, and what opens it: the one that runs here unless an address is given. `use` is how to call the command. */
export function targetOf(given: string | undefined, use: string) {
  if (given !== undefined) {
    const url = given.replace(/\/$/, "");
    if (!/^https?:\/\/\S+$/.test(url)) throw new Fault(`"${given}" is no address.`, use);
    return { url, apiKey: process.env.GRAPHYN_API_KEY, adminKey: process.env.GRAPHYN_ADMIN_KEY };
  }
  const here = place("start");
  const { GRAPHYN_URL: url, GRAPHYN_API_KEY: apiKey } = readEnv(here.env);
  if (!url) throw new Fault("No Graphyn has been started here.", `./graphyn start, or name an address: ${use}`);
  return {
    url,
    apiKey: process.env.GRAPHYN_API_KEY ?? apiKey,
    adminKey: process.env.GRAPHYN_ADMIN_KEY ?? loadSecrets(here.secrets).adminKey,
  };
}
