import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase } from "../../backend/__tests__/harness/database";
import { INSTALL_DIR, ROOT } from "../paths";
import { inDatabase } from "../stack/databases";
import { readEnv } from "../stack/env-file";
import { keepOrChoosePort } from "../stack/ports";
import { adminUrl } from "../stack/postgres";
import { isRunning, type ProcessIdentity } from "../stack/process-identity";
import { run } from "../stack/run";
import { removeScratch, scratchDirForFile } from "../stack/scratch";
import { readState, runningServers } from "../stack/state";

/** Letta starts several times, on a machine that runs other tests. */
const START_TIMEOUT_MS = 240_000;
const POLL_INTERVAL_MS = 50;

/** A Graphyn of its own: other data and ports, the same installation. */
class Home {
  readonly dir = scratchDirForFile();
  readonly stateFile = join(this.dir, "state.json");
  readonly env: NodeJS.ProcessEnv;
  constructor(more: Record<string, string> = {}) {
    const { LETTA_API_URL: _url, LETTA_API_KEY: _key, ...inherited } = process.env;
    this.env = { ...inherited, GRAPHYN_HOME: this.dir, GRAPHYN_INSTALL: INSTALL_DIR, NO_COLOR: "1", ...more };
  }
  graphyn(...args: string[]) {
    return run(join(ROOT, "graphyn"), args, { cwd: ROOT, env: this.env, timeoutMs: START_TIMEOUT_MS });
  }
}

async function until<T>(look: () => T | undefined | false): Promise<T> {
  for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_INTERVAL_MS)) {
    const seen = look();
    if (seen) return seen;
  }
  throw new Error("it did not come to pass");
}

describe("./graphyn start", () => {
  const home = new Home();
  let port = 0;
  beforeAll(async () => {
    port = await keepOrChoosePort(undefined);
  });
  afterAll(async () => {
    await home.graphyn("stop");
    removeScratch(home.dir);
  });

  it("on a taken port says who has it and starts nothing (RUN-1)", async () => {
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    const { code, output } = await home.graphyn("start", "--port", String(port));
    server.close();
    expect(code).toBe(1);
    expect(output).toContain(`Port ${port} is taken by `);
    expect(output).toContain(`(pid ${process.pid})`);
    expect(runningServers(readState(home.stateFile))).toEqual([]);
  });

  it("that was killed half way leaves nothing that the next one cannot clear away (RUN-1)", async () => {
    const launcher = spawn(join(ROOT, "graphyn"), ["start", "--port", String(port)], {
      cwd: ROOT,
      env: home.env,
      stdio: "ignore",
    });
    const letta = await until<ProcessIdentity>(() => readState(home.stateFile).processes.letta);
    launcher.kill("SIGKILL");
    await once(launcher, "exit");
    expect(isRunning(letta)).toBe(true);

    const { code, output } = await home.graphyn("start", "--detach", "--port", String(port));
    expect(output).toContain("An earlier start was cut off");
    expect(code, output).toBe(0);
    expect(isRunning(letta)).toBe(false);
    // The first conversation: two people, two agents, and an answer of each with its name.
    expect(output).toContain("people: You, Robin   agents: Planner, Critic");
    expect(output).toMatch(/Planner \(first token after \d+ ms, complete after \d+ ms\): .*this is Planner/);
    expect(output).toMatch(/Critic \(first token after \d+ ms, complete after \d+ ms\): .*this is Critic/);
    expect(output).not.toContain("\x1b"); // nobody watches
  });

  it("then runs: status, a second start, a chat, and the files' modes say so (RUN-1)", async () => {
    expect(await home.graphyn("status")).toMatchObject({ code: 0, output: expect.stringContaining(`Ready`) });
    const second = await home.graphyn("start");
    expect(second).toMatchObject({ code: 0, output: expect.stringContaining("Graphyn is running already") });
    const chat = await home.graphyn("chat", "Is there a café?");
    expect(chat.output).toContain("You said: “Is there a café?”");
    expect(chat.code).toBe(0);
    expect(await home.graphyn("doctor")).toMatchObject({ code: 0 });
    for (const file of ["env", "secrets.json"]) expect(statSync(join(home.dir, file)).mode & 0o777).toBe(0o600);
  });

  it("keeps Letta behind its password, and the password out of the logs (SEC-1)", async () => {
    const { LETTA_API_URL, LETTA_API_KEY = "" } = readEnv(join(home.dir, "env"));
    const ask = (headers: Record<string, string>) =>
      fetch(`${LETTA_API_URL}/v1/agents/`, { headers }).then(({ status }) => status);
    expect(await ask({})).toBe(401);
    expect(await ask({ authorization: "Bearer wrong" })).toBe(401);
    expect(await ask({ authorization: `Bearer ${LETTA_API_KEY}` })).toBe(404); // nobody's agents
    const secrets = Object.values(
      JSON.parse(readFileSync(join(home.dir, "secrets.json"), "utf8")) as Record<string, string>,
    );
    for (const name of ["letta", "graphyn", "postgres", "dev-model"]) {
      const log = readFileSync(join(home.dir, "logs", `${name}.log`), "utf8");
      for (const secret of secrets) expect(log.includes(secret), name).toBe(false);
    }
  });

  it("lets Letta ask its models through Graphyn, by a key of its own (SEC-1)", async () => {
    const { GRAPHYN_URL, LETTA_API_KEY = "" } = readEnv(join(home.dir, "env"));
    const { modelGatewayKey = "" } = JSON.parse(readFileSync(join(home.dir, "secrets.json"), "utf8")) as Record<
      string,
      string
    >;
    const ask = (key: string) =>
      fetch(`${GRAPHYN_URL}/internal/models/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    expect((await ask(LETTA_API_KEY)).status).toBe(401);
    const listed = (await (await ask(modelGatewayKey)).json()) as { data: { id: string }[] };
    expect(listed.data.map(({ id }) => id)).toContain("dev");
    expect(readFileSync(join(home.dir, "logs", "graphyn.log"), "utf8")).toContain('"endpoint":"gatewayChat"');
  });

  it("moves the agents it has to the relay and back, then to providers that the user names, whatever they were made on (RUN-1)", async () => {
    expect((await home.graphyn("stop")).code).toBe(0);
    for (const source of ["relay", "gateway"]) {
      home.env.GRAPHYN_TURN_SOURCE = source;
      if (source === "gateway") {
        // The same agent, as it would be had it been made on Anthropic: its model is one that the named upstream has.
        const models = [{ id: "claude-sonnet-4-5", model: "dev" }];
        const base_url = `${process.env.DEV_MODEL_URL}/v1`;
        home.env.MODEL_UPSTREAMS = JSON.stringify([{ name: "theirs", base_url, models }]);
      }
      const { code, output } = await home.graphyn("start", "--detach", "--no-conversation", "--port", String(port));
      expect(code, output).toBe(0);
      const chat = await home.graphyn("chat", `By the ${source}`);
      expect(chat.output).toContain(`You said: “By the ${source}”`);
      if (source === "relay") {
        await makeAgentsAnthropic();
        expect((await home.graphyn("stop")).code).toBe(0);
      }
    }
  });

  async function makeAgentsAnthropic(): Promise<void> {
    const secrets = JSON.parse(readFileSync(join(home.dir, "secrets.json"), "utf8")) as Record<string, string>;
    const { postgres = 0 } = readState(home.stateFile).ports;
    const changed = await inDatabase(adminUrl(postgres, secrets.postgresAdmin ?? "", "letta"), (db) =>
      db.query(
        `update agents set llm_config = (llm_config::jsonb || '{"model": "claude-sonnet-4-5", "handle": "anthropic/claude-sonnet-4-5",
          "model_endpoint": "https://api.anthropic.com/v1", "model_endpoint_type": "anthropic", "provider_name": "anthropic"}')::json`,
      ),
    );
    expect(changed.rowCount).toBeGreaterThan(0);
  }

  it("is stopped as a whole (RUN-1)", async () => {
    const servers = runningServers(readState(home.stateFile));
    expect(servers.map(({ name }) => name)).toEqual(["postgres", "letta", "graphyn"]); // the user's models: no dev model
    expect((await home.graphyn("stop")).code).toBe(0);
    expect(servers.filter(({ process }) => isRunning(process))).toEqual([]);
    expect((await home.graphyn("status")).code).toBe(1);
  });
});

it("./graphyn start uses a database, a Letta and a model that the user brings, and starts none of its own (RUN-1)", async () => {
  const database = await createDatabase();
  const { LETTA_API_URL = "", LETTA_API_KEY = "", DEV_MODEL_URL } = process.env;
  const home = new Home({
    DATABASE_URL: database.url,
    LETTA_API_URL,
    LETTA_API_KEY,
    OPENAI_API_BASE: `${DEV_MODEL_URL}/v1`,
  });
  try {
    const port = await keepOrChoosePort(undefined);
    const { code, output } = await home.graphyn("start", "--detach", "--port", String(port));
    expect(code, output).toBe(0);
    expect(output).toMatch(/this is Planner/);
    expect(runningServers(readState(home.stateFile)).map(({ name }) => name)).toEqual(["graphyn"]);
    const wrong = new Home({ LETTA_API_URL: "http://127.0.0.1:9", DATABASE_URL: database.url });
    const refused = await wrong.graphyn("start", "--port", String(await keepOrChoosePort(undefined)));
    expect(refused.code).toBe(1);
    expect(refused.output).toContain("The Letta server of LETTA_API_URL cannot be used: http://127.0.0.1:9");
    removeScratch(wrong.dir);
  } finally {
    await home.graphyn("stop");
    await database.drop();
    removeScratch(home.dir);
  }
});
