import { type Part, attack as run } from "attack";
import { Fault } from "../fault";
import { step } from "../terminal/progress";
import { bold, dim, green, red } from "../terminal/style";
import { readOptions } from "./options";
import { targetOf } from "./target";

const FINDINGS_SHOWN = 20;

/**
 * `./graphyn attack [URL]`: tries to reach one organization's data with another's key. GRAPHYN_ADMIN_KEY (the deployment's AdminKey) makes the two
 * test organizations, or GRAPHYN_ATTACK_KEYS="gk_…,gk_…" names owners' keys of two that may be filled for it. Without a URL, the Graphyn that
 * runs here. Exit code 1 if anything was found.
 */
export async function attack(args: readonly string[]): Promise<number> {
  const { url, adminKey } = targetOf(readOptions(args, {}).positionals[0], "./graphyn attack URL");
  const keys = process.env.GRAPHYN_ATTACK_KEYS?.split(",").map((key) => key.trim());
  if (keys && keys.length !== 2)
    throw new Fault("GRAPHYN_ATTACK_KEYS names two keys.", "gk_…,gk_…: the victim's, then the attacker's.");
  if (!keys && !adminKey) {
    throw new Fault(
      "The attack needs two organizations of its own.",
      "Set GRAPHYN_ADMIN_KEY (the deployment's AdminKey), or GRAPHYN_ATTACK_KEYS to owners' keys of two that are there for it.",
    );
  }
  console.log(`\n  ${bold("Graphyn: attack")} ${dim(url)}\n`);
  const admits = keys ? { keys: [keys[0] ?? "", keys[1] ?? ""] as const } : { adminKey: adminKey ?? "" };
  const parts = await run({ url, admits }, { part: shown });
  const findings = parts.flatMap((part) => part.findings);
  for (const { at, what, proof } of findings.slice(0, FINDINGS_SHOWN)) {
    console.log(`\n  ${red(at)} ${what}\n${dim(proof.replace(/^/gm, "      "))}`);
  }
  const tried = parts.reduce((sum, part) => sum + part.tried, 0);
  const verdict =
    findings.length === 0 ? green("nothing of one organization reached the other") : red(`${findings.length} found`);
  console.log(`\n  ${tried} tried: ${verdict}\n`);
  return findings.length === 0 ? 0 : 1;
}

async function shown(name: Part["name"], work: (say: (text: string) => void) => Promise<Part>): Promise<Part> {
  let done: Part | undefined;
  await step(name, "trying", async ({ say }) => {
    done = await work(say);
    const found = done.findings.length === 0 ? "nothing found" : `${done.findings.length} found`;
    return `${done.tried} tried, ${found}${done.told ? `; ${done.told}` : ""}`;
  });
  if (!done) throw new Error("the step ended without its part");
  return done;
}
