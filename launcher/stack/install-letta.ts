import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../fault";
import { INSTALL_DIR } from "../paths";
import { must, pipCommand, type Uv } from "./install-uv";
import { installOnce } from "./installed";
import { LETTA_SDIST_SHA256, LETTA_VERSION } from "./versions";

export const LETTA_DIR = join(INSTALL_DIR, `letta-${LETTA_VERSION}`);
const SOURCES_DIR = join(INSTALL_DIR, `letta-${LETTA_VERSION}-sources`);

/** What Letta's server needs. psycopg2 is left out: it is compiled against PostgreSQL's headers, and nothing here uses it. */
const SYNC_ARGS = [
  "--frozen",
  "--no-dev",
  "--extra",
  "server",
  "--extra",
  "postgres",
  "--no-install-package",
  "psycopg2",
];

/** Installs Letta from its source distribution with the versions of its own uv.lock. `say` hears how far it is. */
export async function installLetta(uv: Uv, say: (text: string) => void): Promise<boolean> {
  return installOnce(LETTA_DIR, async () => {
    say(`Letta ${LETTA_VERSION}: fetching the sources`);
    const archive = await fetchSources(uv);
    await must(
      "tar",
      ["-xzf", archive, "-C", LETTA_DIR, "--strip-components=1"],
      "Letta's sources could not be unpacked.",
    );
    let packages = 0;
    say(`Letta ${LETTA_VERSION}: fetching its packages (0.8 GB on disk)`);
    await must(uv.command, ["sync", ...SYNC_ARGS], "Letta's packages could not be installed.", {
      cwd: LETTA_DIR,
      env: { ...uv.env, UV_PROJECT_ENVIRONMENT: join(LETTA_DIR, ".venv") },
      onLine: (line) => {
        if (line.startsWith(" + ")) packages += 1;
        say(
          packages > 0 ? `Letta ${LETTA_VERSION}: ${packages} packages installed` : `Letta ${LETTA_VERSION}: ${line}`,
        );
      },
    });
    rmSync(SOURCES_DIR, { recursive: true, force: true });
  });
}

async function fetchSources(uv: Uv): Promise<string> {
  const archive = join(SOURCES_DIR, `letta-${LETTA_VERSION}.tar.gz`);
  mkdirSync(SOURCES_DIR, { recursive: true });
  if (!existsSync(archive)) {
    const download = ["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"];
    const args = [...download, "--no-binary", "letta", "--dest", SOURCES_DIR, `letta==${LETTA_VERSION}`];
    await must(pipCommand(uv.python), args, "Letta's sources could not be fetched from the Python package registry.");
  }
  const sum = createHash("sha256").update(readFileSync(archive)).digest("hex");
  if (sum === LETTA_SDIST_SHA256) return archive;
  rmSync(archive);
  throw new Fault(
    `Letta's sources differ from the ones this version was tested with (SHA-256 ${sum}).`,
    "Run this again; if it stays, the package registry in use serves something else under that name.",
  );
}
