/** What every bench takes on its command line. */
import { parseArgs } from "node:util";

export interface BenchArguments {
  seed: number;
  rounds: number;
  loadedMachineOk: boolean;
  /** Where results go; a folder. */
  out: string;
  /** Put the result into README.md too. Only from a quiet machine. */
  readme: boolean;
}

export function readArguments(defaults: { rounds: number }): BenchArguments {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      rounds: { type: "string", default: String(defaults.rounds) },
      "loaded-machine-ok": { type: "boolean", default: false },
      readme: { type: "boolean", default: false },
      out: { type: "string", default: new URL("../results", import.meta.url).pathname },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds takes a whole number from 1");
  if (values.readme && values["loaded-machine-ok"]) throw new Error("--readme is for numbers from a quiet machine");
  return {
    readme: values.readme,
    seed: Number(values.seed),
    rounds,
    loadedMachineOk: values["loaded-machine-ok"],
    out: values.out,
  };
}
