import { randomBytes } from "node:crypto";
import { createDatabase, type TestDatabase } from "./database";
import { newOrganization, type TestOrganization, through } from "./organization";
import { freePort, type Server, startServer } from "./server";

/** Several Graphyn processes on one database. */
export interface Nodes {
  database: TestDatabase;
  nodes: Server[];
  /** The operator's. */
  adminKey: string;
  /** An organization as seen through one of them. */
  organization(): Promise<TestOrganization>;
  /** The same organization through another node. */
  at(org: TestOrganization, index: number): TestOrganization;
  /** Starts a node in the place of one that has ended, on its port. */
  restart(index: number): Promise<Server>;
  stop(): Promise<void>;
}

export async function startNodes(count: number, env: Record<string, string> = {}): Promise<Nodes> {
  const adminKey = randomBytes(8).toString("hex");
  const database = await createDatabase();
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  // Several processes at once, beside those of other test files: fewer connections each than a process takes by itself.
  const small = { ENCORE_NODE_DB_POOL: "6" };
  const start = (port: number) => startServer({ databaseUrl: database.url, adminKey, port, env: { ...small, ...env } });
  const nodes: Server[] = [];
  for (const port of ports) nodes.push(await start(port)); // the first one migrates
  const url = (index: number) => nodes[index]?.url ?? "";
  return {
    database,
    nodes,
    adminKey,
    organization: () =>
      newOrganization({ url: url(0), adminKey, databaseUrl: database.url, adminUrl: database.adminUrl }),
    at: (org, index) => through(org, url(index)),
    restart: async (index) => {
      const node = await start(ports[index] ?? 0);
      nodes[index] = node;
      return node;
    },
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      await database.drop();
    },
  };
}
