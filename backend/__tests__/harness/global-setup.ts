import { randomBytes } from "node:crypto";
import type { TestProject } from "vitest/node";
import { createDatabase } from "./database";
import { serveGatewayStack } from "./gateway-stack";
import { startServer } from "./server";

declare module "vitest" {
  export interface ProvidedContext {
    /** Where a Graphyn with a Letta behind its gateway is asked for; see models/behind-gateway.ts. */
    gatewayStack: string;
    graphyn: { url: string; adminKey: string; databaseUrl: string; adminUrl: string };
  }
}

/** One Graphyn for all backend tests: each test has its own organization in it, which is the isolation the product promises. */
export default async function setup(project: TestProject) {
  const database = await createDatabase();
  const adminKey = randomBytes(16).toString("hex");
  const server = await startServer({ databaseUrl: database.url, adminKey });
  project.provide("graphyn", { url: server.url, adminKey, databaseUrl: database.url, adminUrl: database.adminUrl });
  const gatewayStack = await serveGatewayStack();
  project.provide("gatewayStack", gatewayStack.url);
  return async () => {
    await gatewayStack.close();
    await server.stop();
    await database.drop();
  };
}
