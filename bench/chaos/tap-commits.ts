/**
 * Between a Graphyn process and PostgreSQL: passes everything on until it is told to wait for a commit. PostgreSQL's answer to that commit
 * never arrives: what is committed is committed, and the process does not know it. So a process can be killed between commit and publish,
 * or lose its connection there, without a failpoint in its code.
 */
import { connect, createServer, type Socket } from "node:net";

export interface CommitTap {
  port: number;
  /** Resolves when so many commits from now have been answered, the last of them not to the process: its connection is cut by `done`. */
  atCommit(count: number): Promise<{ done(): void }>;
  /** Nobody waits for a commit any more. */
  forget(): void;
  close(): Promise<void>;
}

/** PostgreSQL's CommandComplete: its kind, its length, its tag. */
const COMMITTED = Buffer.from([0x43, 0, 0, 0, 11, ...Buffer.from("COMMIT\0")]);

export async function tapCommits(postgresPort: () => number): Promise<CommitTap> {
  const sockets = new Set<Socket>();
  let waiting: { left: number; reached: (at: { done(): void }) => void } | null = null;
  const server = createServer((client) => {
    const upstream = connect(postgresPort(), "127.0.0.1");
    let isHeld = false;
    const end = () => {
      client.destroy();
      upstream.destroy();
      sockets.delete(client);
    };
    sockets.add(client);
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes) => {
      if (isHeld) return;
      if (waiting !== null && bytes.includes(COMMITTED) && --waiting.left <= 0) {
        isHeld = true;
        const { reached } = waiting;
        waiting = null;
        reached({ done: end });
      } else client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    atCommit: (count) =>
      new Promise((reached) => {
        waiting = { left: count, reached };
      }),
    forget: () => {
      waiting = null;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
