import { Fault } from "../fault";
import { place } from "../paths";
import { readEnv } from "../stack/env-file";
import { loadSecrets } from "../stack/secrets";

/** A Graphyn that an archive comes from or goes into, and what opens it: the one that runs here unless an address is given. */
export function archiveTarget(given: string | undefined, command: string) {
  if (given !== undefined) {
    const url = given.replace(/\/$/, "");
    if (!/^https?:\/\/\S+$/.test(url)) throw new Fault(`"${given}" is no address.`, `./graphyn ${command}`);
    return { url, apiKey: process.env.GRAPHYN_API_KEY, adminKey: process.env.GRAPHYN_ADMIN_KEY };
  }
  const here = place("start");
  const { GRAPHYN_URL: url, GRAPHYN_API_KEY: apiKey } = readEnv(here.env);
  if (!url)
    throw new Fault("No Graphyn has been started here.", `./graphyn start, or name an address: ./graphyn ${command}`);
  return {
    url,
    apiKey: process.env.GRAPHYN_API_KEY ?? apiKey,
    adminKey: process.env.GRAPHYN_ADMIN_KEY ?? loadSecrets(here.secrets).adminKey,
  };
}

/** What the server says is wrong, in the form of all its errors. */
export function refused(status: number, text: string): Fault {
  try {
    const { message, details } = JSON.parse(text) as { message: string; details?: { hint?: string } };
    return new Fault(message, details?.hint ?? `The server answered ${status}.`);
  } catch {
    return new Fault(`The server answered ${status}.`, "Its log knows more.");
  }
}

const UNITS = ["bytes", "kB", "MB", "GB"];

export function sizeOf(bytes: number): string {
  let size = bytes;
  let unit = 0;
  for (; size >= 1_000 && unit < UNITS.length - 1; unit++) size /= 1_000;
  return `${unit === 0 ? size : size.toFixed(1)} ${UNITS[unit]}`;
}
