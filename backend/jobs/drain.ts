import { api } from "encore.dev/api";
import log from "encore.dev/log";
import { jobs } from "~encore/clients";
import { stopping } from "../lib/stopping";
import { stopWorker } from "./worker";

/**
 * Ends the job worker when the process has been told to end: jobs of a worker that just vanishes stay locked for hours. An endpoint because
 * the host waits for calls that are under way; it does nothing at other times.
 */
export const drainJobs = api(
  { expose: false, method: "POST", path: "/internal/jobs/drain" },
  async (): Promise<void> => {
    if (!stopping.aborted) return;
    await stopWorker().catch((error) => log.warn("the job worker did not end well", { error: String(error) }));
  },
);

stopping.addEventListener("abort", () => void jobs.drainJobs());
