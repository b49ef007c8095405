import { join } from "node:path";
import { Fault } from "../fault";
import { type Place, place } from "../paths";
import { chromium } from "../stack/install-chromium";
import { redisServer } from "../stack/install-redis";
import { schemathesis } from "../stack/install-schemathesis";
import { tryLock } from "../stack/lock";
import { loadSecrets } from "../stack/secrets";
import { type Servers, startServers } from "../stack/servers";
import { stopServers } from "../stack/shutdown";
import { seconds } from "../terminal/progress";
import { bold, dim, yellow } from "../terminal/style";
import { staticChecks } from "./checks";
import { onInterrupt } from "./interrupt";
import { type Counts, runVitest } from "./vitest";

const VITEST_TIMEOUT_MS = 24 * 60_000;
/** The user's own parts have no place in a test: it would write into their database and spend their tokens. */
const NOT_INHERITED =
  /^(DATABASE_URL|REDIS_URL|LETTA_.*|OPENAI_.*|ANTHROPIC_.*|EMBEDDINGS_.*|ENCORE_.*|GRAPHYN_(MODEL|EMBEDDING_MODEL|HOST))$/;

/**
 * `./graphyn test`: types, lint, requirements and all tests, on servers of its own beside a running `start`. Arguments go to
 * vitest (`./graphyn test --project unit`, `./graphyn test turns`) and leave the other checks out. The last line is
 * `N passed, N failed`; exit code 1 if anything failed or nothing ran.
 */
export async function test(args: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const here = place("test");
  const taken = tryLock(here.lock);
  if ("holder" in taken) {
    throw new Fault(
      `Another ./graphyn test (pid ${taken.holder.pid}) is running here.`,
      "Wait until it has finished, or end it.",
    );
  }
  const interruption = onInterrupt(async () => {
    await stopServers(here);
    taken.release();
  });
  try {
    console.log(`\n  ${bold("Graphyn: test")}\n`);
    const checks = args.length > 0 ? [] : await staticChecks();
    const counts = await withServers(here, (servers) => testsOn(here, servers, args));
    return summary(checks, counts, args.length > 0, performance.now() - startedAt);
  } catch (error) {
    if (interruption.isStopping()) return interruption.finished;
    throw error;
  } finally {
    if (!interruption.isStopping()) taken.release();
  }
}

async function withServers<T>(here: Place, work: (servers: Servers) => Promise<T>): Promise<T> {
  await stopServers(here); // what a run that was killed left
  try {
    const own = { databaseUrl: undefined, letta: undefined };
    return await work(
      await startServers({ place: here, secrets: loadSecrets(here.secrets), own, env: {}, isForTests: true }),
    );
  } finally {
    await stopServers(here);
  }
}

function testsOn(here: Place, servers: Servers, args: readonly string[]): Promise<Counts> {
  const inherited = Object.entries(process.env).filter(([name]) => !NOT_INHERITED.test(name));
  const env = {
    ...Object.fromEntries(inherited),
    TEST_DATABASE_URL: servers.adminUrl,
    LETTA_API_URL: servers.lettaUrl,
    LETTA_API_KEY: servers.lettaKey,
    DEV_MODEL_URL: servers.devModelUrl,
    REDIS_SERVER: redisServer(),
    CHROMIUM: chromium(),
    SCHEMATHESIS: schemathesis(),
  };
  console.log();
  return runVitest(args, env, join(here.dir, "vitest.json"), VITEST_TIMEOUT_MS);
}

function summary(
  checks: readonly { name: string; passed: boolean }[],
  tests: Counts,
  isPart: boolean,
  durationMs: number,
): number {
  const passed = checks.filter((check) => check.passed).length + tests.passed;
  const broken = checks.filter((check) => !check.passed);
  const skipped = isPart ? 0 : tests.skipped; // filters skip what they leave out
  const failed = broken.length + tests.failed + skipped;
  console.log(`\n  ${dim(`tests: ${tests.passed} passed, ${tests.failed} failed; ${seconds(durationMs)} in all`)}`);
  if (broken.length > 0)
    console.log(`  ${yellow(`failed before the tests: ${broken.map(({ name }) => name).join(", ")}`)}`);
  if (skipped > 0) console.log(`  ${yellow(`${skipped} skipped tests count as failed`)}`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}
