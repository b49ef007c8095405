/** Takes all that there is of something, so that nothing is left for others: PostgreSQL's connections, and the disk under its files. */
import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/** PostgreSQL's word for a connection too many. */
const TOO_MANY_CONNECTIONS = "53300";
const AT_ONCE = 20;
const CONNECT_MS_MAX = 5_000;
/** Between looks whether somebody has let go of a connection that could be taken as well. */
const LOOK_MS = 100;
/** A disk larger than this is not filled: it is somebody's. */
const SMALL_DISK_BYTES = 4 * 1024 ** 3;
const BALLAST_CHUNKS = [16 * 1024 ** 2, 64 * 1024, 4 * 1024];

/** Holds every free connection for so long, also those that come free meanwhile. Resolves with how many it held in the end. */
export async function holdConnections(databaseUrl: string, ms: number, meanwhile: () => Promise<unknown>) {
  const held: pg.Client[] = [];
  const until = performance.now() + ms;
  try {
    await takeConnections(databaseUrl, held, AT_ONCE);
    await meanwhile();
    while (performance.now() < until) {
      await takeConnections(databaseUrl, held, 1);
      await sleep(LOOK_MS);
    }
    return held.length;
  } finally {
    await Promise.all(held.map((client) => client.end().catch(() => undefined)));
  }
}

/** Until there is none; a server that is not there has none. */
async function takeConnections(databaseUrl: string, held: pg.Client[], atOnce: number): Promise<void> {
  for (let isFull = false; !isFull; ) {
    const taken = await Promise.all(Array.from({ length: atOnce }, () => connect(databaseUrl)));
    for (const client of taken) if (client) held.push(client);
    isFull = taken.includes(null);
  }
}

async function connect(connectionString: string): Promise<pg.Client | null> {
  const client = new pg.Client({
    connectionString,
    application_name: "chaos",
    connectionTimeoutMillis: CONNECT_MS_MAX,
  });
  client.on("error", () => undefined); // as when the server is restarted
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    const { code } = error as { code?: string };
    if (code !== undefined && code !== TOO_MANY_CONNECTIONS && code.length === 5 && !code.startsWith("57")) throw error; // neither full nor ending nor beginning
    return null;
  }
}

export async function isSmallDisk(folder: string): Promise<boolean> {
  const { blocks, bsize } = await statfs(folder);
  return blocks * bsize <= SMALL_DISK_BYTES;
}

/** Leaves no byte free under a folder for so long. Resolves with how many it took. */
export async function holdDisk(folder: string, ms: number): Promise<number> {
  const path = join(folder, "ballast");
  const file = await open(path, "w");
  let bytes = 0;
  try {
    for (const size of BALLAST_CHUNKS) {
      const chunk = Buffer.alloc(size);
      for (let isFull = false; !isFull; ) {
        const written = await file.write(chunk).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== "ENOSPC") throw error;
          return { bytesWritten: 0 };
        });
        bytes += written.bytesWritten;
        isFull = written.bytesWritten < size;
      }
    }
    await sleep(ms);
    return bytes;
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
