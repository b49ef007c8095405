#!/usr/bin/env node
import { ensureBuilt } from "./own-build.js";

await ensureBuilt();
const { main } = await import("../dist/cli.js");
await main(process.argv.slice(2));
