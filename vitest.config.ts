import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Four suites with different needs, so that each can be run alone (`npx vitest run --project unit`):
// `unit` needs no server, `conformance` replays recordings of Encore's own runtime against our host, `backend` talks to
// the real stack its global setup starts, `launcher` runs `./graphyn` itself.

/** How many test files run at once. The stack under test needs its share of the same cores. */
const MAX_WORKERS = 2;
/** Milliseconds. A unit test that needs longer waits for something it should not need. */
const UNIT_TIMEOUT_MS = 30_000;
/** Milliseconds. Real servers answer within this, or they hang. */
const SERVER_TIMEOUT_MS = 60_000;
/** Milliseconds, for what `expect.poll` waits for: a busy machine is late, and only what never comes is wrong. */
const POLL_TIMEOUT_MS = 20_000;
/** Milliseconds. A first start installs packages and migrates two databases. */
const LAUNCHER_TIMEOUT_MS = 600_000;

const CONFORMANCE = "packages/encore-node/__tests__/conformance/**/*.test.ts";
const NOT_TESTS = ["**/node_modules/**", "**/.graphyn/**", "**/dist/**", "**/fixtures/**"];

export default defineConfig({
  resolve: { alias: { "~encore": fileURLToPath(new URL("./backend/encore.gen", import.meta.url)) } },
  test: {
    maxWorkers: MAX_WORKERS,
    expect: { poll: { timeout: POLL_TIMEOUT_MS } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: [
            "packages/**/*.test.ts",
            "scripts/**/*.test.ts",
            "bench/**/*.test.ts",
            "backend/**/*.test.ts",
            "docs/**/*.test.ts",
          ],
          exclude: [...NOT_TESTS, CONFORMANCE, "backend/__tests__/**"],
          testTimeout: UNIT_TIMEOUT_MS,
        },
      },
      {
        extends: true,
        test: {
          name: "conformance",
          include: [CONFORMANCE],
          exclude: NOT_TESTS,
          testTimeout: SERVER_TIMEOUT_MS,
          hookTimeout: SERVER_TIMEOUT_MS,
        },
      },
      {
        extends: true,
        test: {
          name: "backend",
          include: ["backend/__tests__/**/*.test.ts"],
          exclude: NOT_TESTS,
          globalSetup: ["./backend/__tests__/harness/global-setup.ts"],
          testTimeout: SERVER_TIMEOUT_MS,
          hookTimeout: SERVER_TIMEOUT_MS,
        },
      },
      {
        extends: true,
        test: {
          name: "launcher",
          include: ["launcher/**/*.test.ts"],
          exclude: NOT_TESTS,
          testTimeout: LAUNCHER_TIMEOUT_MS,
          hookTimeout: LAUNCHER_TIMEOUT_MS,
        },
      },
    ],
  },
});
