/** Warm connections: opened at start, kept, handed out last-in first-out; waiting is bounded in number and time. */

import type pg from "pg";
import { PgConnection } from "./connection.js";
import { driverError } from "./errors.js";

/** Requests that may wait for a connection of one pool. */
const WAITERS_MAX = 10_000;
/** How long one waits before it fails (bb8's default, which Encore has). */
const WAIT_MS = 30_000;

/** A server ends a statement after its own timeout, and says so. Who has said nothing for so much longer is gone. */
const GRACE_MS = 5_000;
const LOOK_MS = 1_000;

interface Waiter {
  resolve(c: PgConnection): void;
  reject(e: Error): void;
  timer: NodeJS.Timeout;
}

export class Pool {
  private readonly idle: PgConnection[] = [];
  private readonly waiters: Waiter[] = [];
  private readonly all = new Set<PgConnection>();
  private opening = 0;
  private closed = false;
  private readonly looking: NodeJS.Timeout;

  constructor(
    private readonly config: pg.ClientConfig & { statement_timeout: number },
    private readonly size: number,
    /** Whether errors may quote rows: in the local environment. */
    private readonly quoteRows: boolean,
  ) {
    this.looking = setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** Without it a connection whose other end has lost its power is waited for until TCP gives it up, which takes a quarter of an hour. */
  private look(): void {
    for (const connection of this.all) connection.look(LOOK_MS, this.config.statement_timeout + GRACE_MS);
  }

  /** Opens every connection. */
  async warm(): Promise<void> {
    await Promise.all(Array.from({ length: this.size - this.all.size }, () => this.open()));
  }

  private async open(): Promise<void> {
    this.opening++;
    const connection = new PgConnection(this.config, this.quoteRows, (c) => this.lost(c));
    try {
      await connection.client.connect();
    } catch (e) {
      throw e instanceof AggregateError ? (e.errors[0] as Error) : e;
    } finally {
      this.opening--;
    }
    this.all.add(connection);
    this.give(connection);
  }

  private lost(connection: PgConnection): void {
    if (!this.all.delete(connection)) return;
    const i = this.idle.indexOf(connection);
    if (i >= 0) this.idle.splice(i, 1);
    connection.client.end().catch(() => {});
    if (this.waiters.length > 0) this.reopen();
  }

  private reopen(): void {
    if (this.closed || this.all.size + this.opening >= this.size) return;
    this.open().catch((e: Error) => {
      const waiter = this.waiters.shift();
      if (!waiter) return;
      clearTimeout(waiter.timer);
      waiter.reject(driverError(`error connecting to server: ${e.message}`));
      if (this.waiters.length > 0) setImmediate(() => this.reopen());
    });
  }

  acquire(): Promise<PgConnection> | PgConnection {
    const ready = this.idle.pop();
    if (ready) return ready;
    if (this.closed) return Promise.reject(driverError("the database pool is closed"));
    if (this.waiters.length >= WAITERS_MAX)
      return Promise.reject(driverError("too many requests wait for a database connection"));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { resolve, reject, timer: setTimeout(() => this.expire(waiter), WAIT_MS) };
      this.waiters.push(waiter);
      this.reopen();
    });
  }

  private expire(waiter: Waiter): void {
    const i = this.waiters.indexOf(waiter);
    if (i < 0) return;
    this.waiters.splice(i, 1);
    waiter.reject(driverError("timeout establishing connection"));
  }

  private give(connection: PgConnection): void {
    const waiter = this.waiters.shift();
    if (waiter) {
      clearTimeout(waiter.timer);
      waiter.resolve(connection);
    } else this.idle.push(connection);
  }

  release(connection: PgConnection): void {
    if (connection.broken || this.closed) {
      this.all.delete(connection);
      connection.client.end().catch(() => {});
      return;
    }
    this.give(connection);
  }

  /** Idle and all connections, for tests of leaks. */
  get counts(): { idle: number; all: number; waiting: number } {
    return { idle: this.idle.length, all: this.all.size, waiting: this.waiters.length };
  }

  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.looking);
    for (const waiter of this.waiters.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.reject(driverError("the database pool is closed"));
    }
    await Promise.allSettled(this.idle.splice(0).map((c) => c.client.end()));
  }
}
