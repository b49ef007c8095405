/** `tsx src/main.ts --port N [--host H] [--record] [--models id,id]`: runs until SIGINT or SIGTERM. */
import { parseArgs } from "node:util";
import { startDevModel } from "./server";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "8284" },
    host: { type: "string", default: "127.0.0.1" },
    record: { type: "boolean", default: false },
    models: { type: "string", default: "" },
  },
});

try {
  const model = await startDevModel({
    port: Number(values.port),
    host: values.host,
    record: values.record,
    models: values.models.split(",").filter((id) => id !== ""),
  });
  console.log(`dev model (not a language model) on ${model.url}/v1${values.record ? ", recording requests" : ""}`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void model.close().then(() => process.exit(0)));
  }
} catch (error) {
  const taken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
  console.error(taken ? `Port ${values.port} is taken; choose another with --port.` : String(error));
  process.exit(1);
}
