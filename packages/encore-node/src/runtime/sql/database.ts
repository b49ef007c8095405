/** `runtime.SQLDatabase`, `Transaction`, `SQLConn`, `Cursor` and `QueryArgs` (runtimes/js/src/sqldb.rs). */

import type { PgConnection, Result } from "./connection.js";
import { driverError } from "./errors.js";
import type { Pool } from "./pool.js";
import type { Row } from "./row.js";

export class QueryArgs {
  constructor(readonly values: unknown[]) {}
}

export class Cursor {
  private i = 0;

  constructor(private readonly result: Result) {}

  next(): Promise<Row | null> {
    const row = this.result.rows[this.i++];
    if (row) return Promise.resolve(row);
    return this.result.error ? Promise.reject(this.result.error) : Promise.resolve(null);
  }
}

async function firstRow(cursor: Promise<Cursor>): Promise<Row | null> {
  return (await cursor).next();
}

/** A transaction or connection that the application lost without ending it gives its connection back. */
const forgotten = new FinalizationRegistry<Held>((held) => void held.abandon());

class Held {
  constructor(
    private readonly pool: Pool,
    private connection: PgConnection | null,
  ) {}

  get(): PgConnection | null {
    return this.connection;
  }

  release(): void {
    const connection = this.connection;
    this.connection = null;
    if (connection) this.pool.release(connection);
  }

  async abandon(): Promise<void> {
    if (!this.connection) return;
    await rollback(this.connection).catch(() => {});
    this.release();
  }
}

/** A connection that cannot be cleaned is not given back to be used. */
async function rollback(connection: PgConnection): Promise<void> {
  if (connection.beginNext) {
    connection.beginNext = false;
    return;
  }
  try {
    await connection.simple("ROLLBACK");
  } catch (e) {
    connection.broken = true;
    throw e;
  }
}

export class Transaction {
  private readonly held: Held;
  private done = false;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(pool: Pool, connection: PgConnection) {
    connection.beginNext = true;
    this.held = new Held(pool, connection);
    forgotten.register(this, this.held, this);
  }

  private take(): PgConnection {
    const connection = this.done ? null : this.held.get();
    if (!connection) throw driverError("transaction closed");
    return connection;
  }

  /** One at a time, in the order of the calls. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.tail.then(work, work);
    this.tail = run.catch(() => {});
    return run;
  }

  query(query: string, args: QueryArgs): Promise<Cursor> {
    return this.inTurn(async () => new Cursor(await this.take().query(query, args.values)));
  }

  commit(): Promise<void> {
    return this.finish(async (c) => {
      if (c.beginNext) c.beginNext = false;
      else await c.simple("COMMIT");
    });
  }

  rollback(): Promise<void> {
    return this.finish(rollback);
  }

  private finish(end: (c: PgConnection) => Promise<void>): Promise<void> {
    return this.inTurn(async () => {
      const connection = this.take();
      this.done = true;
      forgotten.unregister(this);
      try {
        await end(connection);
      } catch (e) {
        await rollback(connection).catch(() => {});
        throw e;
      } finally {
        this.held.release();
      }
    });
  }
}

export class SQLConn {
  private readonly held: Held;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(pool: Pool, connection: PgConnection) {
    this.held = new Held(pool, connection);
    forgotten.register(this, this.held, this);
  }

  query(query: string, args: QueryArgs): Promise<Cursor> {
    const run = this.tail.then(async () => {
      const connection = this.held.get();
      if (!connection) throw driverError("connection_closed");
      return new Cursor(await connection.query(query, args.values));
    });
    this.tail = run.catch(() => {});
    return run;
  }

  queryRow(query: string, args: QueryArgs): Promise<Row | null> {
    return firstRow(this.query(query, args));
  }

  async close(): Promise<void> {
    forgotten.unregister(this);
    await this.tail;
    this.held.release();
  }
}

export class SQLDatabase {
  constructor(
    private readonly url: string,
    readonly pool: Pool,
    /** Settles when the database is migrated; null from then on. */
    private ready: Promise<void> | null,
  ) {
    ready?.then(
      () => {
        this.ready = null;
      },
      () => {},
    );
  }

  connString(): string {
    return this.url;
  }

  async query(query: string, args: QueryArgs): Promise<Cursor> {
    if (this.ready) await this.ready;
    const got = this.pool.acquire();
    const connection = got instanceof Promise ? await got : got;
    try {
      return new Cursor(await connection.query(query, args.values));
    } finally {
      this.pool.release(connection);
    }
  }

  queryRow(query: string, args: QueryArgs): Promise<Row | null> {
    return firstRow(this.query(query, args));
  }

  async begin(): Promise<Transaction> {
    if (this.ready) await this.ready;
    return new Transaction(this.pool, await this.pool.acquire());
  }

  async acquire(): Promise<SQLConn> {
    if (this.ready) await this.ready;
    return new SQLConn(this.pool, await this.pool.acquire());
  }
}
