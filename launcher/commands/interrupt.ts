import { refuseLaunches } from "../stack/processes";
import { endRunning } from "../stack/run";
import { abandonSteps } from "../terminal/progress";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** 128 + SIGINT, as shells expect of a program ended by Ctrl-C. */
const EXIT_INTERRUPTED = 130;

interface Interruption {
  isStopping(): boolean;
  /** Never resolves: the handler ends the process when it has finished. */
  readonly finished: Promise<never>;
  /** Runs `work`; a Ctrl-C meanwhile does not begin it a second time. */
  whileStopping<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * From here on Ctrl-C, SIGTERM and SIGHUP run `stop` once and then end this process. What is installing at that moment is
 * ended too; its marker file is missing, so the next start does it again. A second Ctrl-C leaves the rest to `./graphyn stop`.
 */
export function onInterrupt(stop: () => Promise<void>): Interruption {
  let stopping = false;
  const handle = (signal: NodeJS.Signals) => {
    if (stopping) process.exit(EXIT_INTERRUPTED);
    stopping = true;
    abandonSteps();
    refuseLaunches();
    endRunning();
    console.log("\n");
    stop().then(
      () => process.exit(signal === "SIGINT" ? EXIT_INTERRUPTED : 0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return {
    isStopping: () => stopping,
    finished: new Promise<never>(() => undefined),
    whileStopping: (work) => {
      stopping = true;
      return work().finally(() => {
        stopping = false;
      });
    },
  };
}
