import { connect, createServer, type Socket } from "node:net";

/** A statement as a client sent it to PostgreSQL, with its parameters in text form. */
export interface Statement {
  sql: string;
  values: (string | null)[];
}

/** What one connection asked between BEGIN and its end, in order; outside of a transaction each statement is one by itself. */
export type Transaction = Statement[];

export interface QueryTap {
  /** Like the database's own URL, through the tap. */
  url: string;
  /** Since the tap was opened, or since they were taken last. */
  taken(): Transaction[];
  close(): Promise<void>;
}

const SSL_REQUEST = 80_877_103;

/**
 * Stands between an application and PostgreSQL and notes every statement that passes: whatever the application asks is seen, whoever
 * wrote it and wherever. It changes nothing, and reads no more than the client's side of the protocol, version 3, without TLS.
 */
export async function openQueryTap(databaseUrl: string): Promise<QueryTap> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let transactions: Transaction[] = [];
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const end = () => {
      for (const socket of [client, upstream]) {
        socket.destroy();
        sockets.delete(socket);
      }
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true).on("error", end).on("close", end);
    }
    const hear = listener((transaction) => transactions.push(transaction));
    client.on("data", (bytes) => {
      hear(bytes);
      upstream.write(bytes);
    });
    upstream.on("data", (bytes) => client.write(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(address.port);
  return {
    url: url.href,
    taken: () => {
      const taken = transactions;
      transactions = [];
      return taken;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Reads one connection's bytes. A transaction is told when it begins and filled as its statements come. */
function listener(tell: (transaction: Transaction) => void): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let isStarted = false;
  let open: Transaction | null = null;
  const prepared = new Map<string, string>();
  const bound = new Map<string, Statement>();
  const ask = (statement: Statement) => {
    if (/^\s*(begin|start transaction)\b/i.test(statement.sql)) {
      open = [];
      tell(open);
    } else if (/^\s*(commit|rollback|end)\b(?!\s+to\b)/i.test(statement.sql)) open = null;
    else if (open) open.push(statement);
    else tell([statement]);
  };
  const read = (type: string, body: Buffer) => {
    let at = 0;
    const text = () => {
      const from = at;
      at = body.indexOf(0, from) + 1;
      return body.toString("utf8", from, at - 1);
    };
    const int16 = () => {
      at += 2;
      return body.readInt16BE(at - 2);
    };
    if (type === "Q") ask({ sql: text(), values: [] });
    else if (type === "P") prepared.set(text(), text());
    else if (type === "B") {
      const portal = text();
      const sql = prepared.get(text()) ?? "";
      const formats = Array.from({ length: int16() }, int16);
      const values = Array.from({ length: int16() }, (_, index) => {
        const length = body.readInt32BE(at);
        at += 4;
        if (length < 0) return null;
        at += length;
        const isBinary = (formats.length === 1 ? formats[0] : formats[index]) === 1;
        return body.toString(isBinary ? "latin1" : "utf8", at - length, at);
      });
      bound.set(portal, { sql, values });
    } else if (type === "E") {
      const statement = bound.get(text());
      if (statement) ask(statement);
    }
  };
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (true) {
      const head = isStarted ? 1 : 0; // the first message of a connection has no letter
      if (rest.length < head + 4) return;
      const length = rest.readInt32BE(head);
      if (rest.length < head + length) return;
      const body = rest.subarray(head + 4, head + length);
      if (isStarted) read(String.fromCharCode(rest[0] ?? 0), body);
      else isStarted = body.readInt32BE(0) !== SSL_REQUEST;
      rest = rest.subarray(head + length);
    }
  };
}
