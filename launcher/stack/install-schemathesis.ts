import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { INSTALL_DIR } from "../paths";
import { must, type Uv } from "./install-uv";
import { installOnce } from "./installed";
import { SCHEMATHESIS_VERSION } from "./versions";

/** Where the tester of the OpenAPI document is installed. */
export const SCHEMATHESIS_DIR = join(INSTALL_DIR, `schemathesis-${SCHEMATHESIS_VERSION}`);

const REQUIREMENTS = fileURLToPath(new URL("./schemathesis-requirements.txt", import.meta.url));

/** The program: SCHEMATHESIS, or the one that is installed here. */
export function schemathesis(): string {
  return process.env.SCHEMATHESIS || join(SCHEMATHESIS_DIR, "bin", "schemathesis");
}

/** Installs schemathesis from the Python registry into an environment of its own, every version pinned. Only tests need it. */
export function installSchemathesis({ command, env, python }: Uv): Promise<boolean> {
  return installOnce(SCHEMATHESIS_DIR, async () => {
    const complaint = "schemathesis, for the tests, could not be installed from the Python package registry.";
    const venv = ["venv", "--quiet", "--allow-existing", "--python", python.path, SCHEMATHESIS_DIR];
    await must(command, venv, complaint, { env });
    // By name: the environment names the Python that everything else is installed for, and would be obeyed.
    const args = ["pip", "install", "--quiet", "--python", join(SCHEMATHESIS_DIR, "bin", "python")];
    await must(command, [...args, "--only-binary", ":all:", "--requirement", REQUIREMENTS], complaint, { env });
  });
}
