import { parseArgs } from "node:util";
import { Fault } from "../fault";

const PORT_DEFAULT = 4000;
const PORT_MAX = 65_535;

type Flags = Record<string, { type: "boolean" | "string"; short?: string }>;

/** Reads a command's arguments; an unknown one becomes a sentence instead of a stack trace. */
export function readOptions<const F extends Flags>(args: readonly string[], options: F) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new Fault(
      error instanceof Error ? `${error.message.split(". ")[0]}.` : String(error),
      "./graphyn help lists the commands and their options.",
    );
  }
}

export function readPort(text: string | undefined): number {
  if (text === undefined) return PORT_DEFAULT;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port <= PORT_MAX) return port;
  throw new Fault(`--port ${text} is no port number.`, `Give one from 1 to ${PORT_MAX}.`);
}
