import { attack } from "./commands/attack";
import { chat } from "./commands/chat";
import { doctor } from "./commands/doctor";
import { exportArchive } from "./commands/export";
import { importArchive } from "./commands/import";
import { logs } from "./commands/logs";
import { start } from "./commands/start";
import { status } from "./commands/status";
import { stop } from "./commands/stop";
import { test } from "./commands/test";
import { Fault } from "./fault";
import { bold, dim, red } from "./terminal/style";

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  start,
  stop,
  status,
  chat,
  logs,
  doctor,
  test,
  attack,
  export: exportArchive,
  import: importArchive,
  help: async () => {
    console.log(USAGE);
    return 0;
  },
};

const USAGE = `
  ${bold("Graphyn")}: a backend for conversations between people and AI agents

  ./graphyn start [--detach] [--port 4000]   install what is missing, start everything, hold a conversation
  ./graphyn chat "text" [--new]              say something to the agents and watch them answer
  ./graphyn status                           what runs where
  ./graphyn logs [name] [-f]                 graphyn, letta, postgres, dev-model
  ./graphyn doctor                           what is missing or wrong, and what to do about it
  ./graphyn stop                             stop everything
  ./graphyn test                             types, lint and all tests on a real stack of their own
  ./graphyn attack [URL]                     tries to reach one organization's data with another's key, on any Graphyn
  ./graphyn export [URL] [--out FILE]        the organization of GRAPHYN_API_KEY as one archive
  ./graphyn import FILE [URL]                an archive into a Graphyn where its organization is not

  ${dim("Your own parts: DATABASE_URL, LETTA_API_URL with LETTA_API_KEY, OPENAI_API_KEY and OPENAI_API_BASE, ANTHROPIC_API_KEY,")}
  ${dim("GRAPHYN_MODEL (Letta's handle of a model), GRAPHYN_PYTHON, GRAPHYN_HOME (instead of .graphyn).")}
`;

const [name = "help", ...args] = process.argv.slice(2);
const command = COMMANDS[name === "--help" || name === "-h" ? "help" : name];
if (!command) {
  console.error(`${red(`There is no command "${name}".`)}\n${USAGE}`);
  process.exit(2);
}
try {
  process.exit(await command(args));
} catch (error) {
  if (!(error instanceof Fault)) throw error;
  console.error(`\n  ${red(error.message)}\n  ${error.nextStep}\n`);
  process.exit(1);
}
