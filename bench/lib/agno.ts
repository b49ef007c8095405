/** Agno's AgentOS, the rival that streams an agent's answer from the same model and keeps its sessions in the same PostgreSQL. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { answersOk } from "../../launcher/stack/dev-model";
import { must } from "../../launcher/stack/install-uv";
import { installOnce } from "../../launcher/stack/installed";
import { keepOrChoosePort } from "../../launcher/stack/ports";
import { end, launch, untilReady } from "../../launcher/stack/processes";
import type { StreamEvent } from "./http";
import { type Base, createDatabase } from "./stack";

export const AGNO_VERSION = "3.1.10"; // as in agno-requirements.txt
const START_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 5_000;
const here = (file: string) => new URL(file, import.meta.url).pathname;

/** Installs it once, in an environment of its own with every version pinned, and starts it: one process, as Letta is one. */
export async function startAgno(base: Base, models: readonly string[]): Promise<{ url: string; pid: number }> {
  const dir = join(base.place.dir, `agno-${AGNO_VERSION}`);
  await installOnce(dir, async () => {
    const { command, env, python } = base.uv;
    const complaint = "Agno could not be installed from the Python package registry.";
    const venv = ["venv", "--quiet", "--allow-existing", "--python", python.path, dir];
    await must(command, venv, complaint, { env });
    // By name: the environment names the Python that everything else is installed for, and would be obeyed.
    const args = ["pip", "install", "--quiet", "--python", join(dir, "bin", "python")];
    await must(command, [...args, "--requirement", here("agno-requirements.txt")], complaint, { env });
  });
  const databaseUrl = (await createDatabase(base, "agno")).replace(/^postgres(ql)?:/, "postgresql+psycopg:");
  const port = await keepOrChoosePort(undefined);
  const log = join(base.place.logs, "agno.log");
  const agno = launch({
    command: join(dir, "bin", "python"),
    args: [here("agno_server.py"), String(port), ...models],
    cwd: base.place.dir,
    env: {
      PATH: process.env.PATH,
      HOME: base.place.dir,
      NO_PROXY: "127.0.0.1",
      AGNO_TELEMETRY: "false",
      AGNO_DATABASE_URL: databaseUrl,
      AGNO_MODEL_BASE: `${base.modelUrl}/v1`,
    },
    log,
  });
  base.stops.push(() => end(agno, "SIGTERM", STOP_GRACE_MS));
  const url = `http://127.0.0.1:${port}`;
  const isReady = () => answersOk(`${url}/health`);
  await untilReady({ name: "Agno", process: agno, log, timeoutMs: START_TIMEOUT_MS, isReady });
  return { url, pid: agno.pid };
}

/** A new session of an agent: the message to POST to `/agents/{model}/runs`, as a form. */
export function newSession(): (message: string) => URLSearchParams {
  const session_id = randomUUID();
  return (message) => new URLSearchParams({ message, stream: "true", session_id, user_id: "bench" });
}

/** The text in an event of a run's stream. */
export function agnoText({ event, data }: StreamEvent): string {
  const { content } = event === "RunContent" ? (JSON.parse(data) as { content?: unknown }) : {};
  return typeof content === "string" ? content : "";
}
