import { Fault } from "../fault";

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
