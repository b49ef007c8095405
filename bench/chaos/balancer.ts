/** One address before the Graphyn processes, as a load balancer is: each connection goes to the first, in turn, that takes it. */
import { connect, createServer, type Socket } from "node:net";

export interface Balancer {
  url: string;
  close(): Promise<void>;
}

export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const open = new Set<Socket>();
  let turn = 0;
  const server = createServer((client) => {
    const first = turn++;
    open.add(client);
    client.on("error", () => undefined);
    client.on("close", () => open.delete(client));
    const attempt = (tried: number) => {
      if (tried === ports.length) return client.destroy();
      const upstream = connect(ports[(first + tried) % ports.length] ?? 0, "127.0.0.1");
      upstream
        .once("error", () => attempt(tried + 1))
        .once("connect", () => {
          upstream.removeAllListeners("error");
          upstream.on("error", () => client.destroy());
          client.once("close", () => upstream.destroy());
          upstream.once("close", () => client.destroy());
          client.pipe(upstream).pipe(client);
        });
    };
    attempt(0);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
