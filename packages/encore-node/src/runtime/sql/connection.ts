/** One connection: runs statements in order, prepares each text once, and knows whether it may be used again. */

import { createHash } from "node:crypto";
import pg from "pg";
import { driverError, fullMessage, isDatabaseError, shortMessage } from "./errors.js";
import { encodeParams } from "./params.js";
import { type Known, Row, rememberShape, shapes } from "./row.js";
import { type Outcome, type Shape, Statement, type Submission, type WireConnection } from "./statement.js";
import { kindOf, type PgType, remember, TYPE_QUERY, type TypeRow, typeOf } from "./types.js";
import { columnParser } from "./values.js";

/** Statements kept prepared on one connection; the one unused longest is closed for a new one. */
const PREPARED_MAX = 256;
const CONNECT_TIMEOUT_MS = 10_000;

export interface Result {
  rows: Row[];
  /** Of the running statement: the cursor throws it. */
  error: Error | null;
}

export class PgConnection {
  readonly client: pg.Client;
  private readonly wire: WireConnection;
  /** BEGIN has been promised but not sent. */
  beginNext = false;
  broken = false;
  /** How often somebody looked while the same statement was waited for. */
  private looks = 0;
  private asked = 0;
  private current: Statement | null = null;
  private readonly prepared = new Map<string, string>();
  private counter = 0;

  constructor(
    config: pg.ClientConfig,
    private readonly quoteRows: boolean,
    onBroken: (c: PgConnection) => void,
  ) {
    this.client = new pg.Client({ connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true, ...config });
    const lost = (): void => {
      this.broken = true;
      onBroken(this);
    };
    this.client.on("error", lost);
    this.client.on("end", lost);
    this.wire = (this.client as unknown as { connection: WireConnection }).connection;
    this.wire.on("parameterDescription", (m: { dataTypeIDs: number[] }) => this.current?.handleParameterDescription(m));
    this.wire.on("bindComplete", () => this.current?.handleBindComplete());
  }

  private submit(s: Submission): Promise<Outcome> {
    return new Promise((resolve) => {
      const statement = new Statement(s, (outcome) => {
        this.answered();
        resolve(outcome);
      });
      this.current = statement;
      this.asked++;
      this.client.query(statement as unknown as pg.Submittable);
    });
  }

  private answered(): void {
    this.asked--;
    this.looks = 0;
  }

  /**
   * To be called every `ms`: cuts a connection on which nothing has answered for longer than `silenceMs`, which fails its statement. Looks are
   * counted and no clock is read, so that a process that stood still does not take its own time for the server's.
   */
  look(ms: number, silenceMs: number): void {
    if (this.asked <= 0 || ++this.looks * ms <= silenceMs) return;
    this.wire.stream.destroy(new Error(`no answer in ${silenceMs} ms`));
  }

  /** Rejects with the driver's short message while the statement has not begun to run. */
  async query(sql: string, args: readonly unknown[]): Promise<Result> {
    let known = shapes.get(sql);
    let name = this.prepared.get(sql);
    if (!known || name === undefined) {
      if (known && name === undefined) {
        name = this.newName(sql);
        return this.execute(sql, known, name, args, true);
      }
      name ??= this.newName(sql);
      known = await this.prepare(sql, name);
      return this.execute(sql, known, name, args, false);
    }
    this.prepared.delete(sql);
    this.prepared.set(sql, name);
    return this.execute(sql, known, name, args, false);
  }

  private newName(sql: string): string {
    return `en${++this.counter}_${createHash("sha1").update(sql).digest("hex").slice(0, 8)}`;
  }

  /** The statement that has to make room, if any. */
  private evict(): string | null {
    if (this.prepared.size < PREPARED_MAX) return null;
    const [sql, name] = this.prepared.entries().next().value as [string, string];
    this.prepared.delete(sql);
    return name;
  }

  private takeBegin(): boolean {
    const begin = this.beginNext;
    this.beginNext = false;
    return begin;
  }

  private async prepare(sql: string, name: string): Promise<Known> {
    const begin = this.takeBegin();
    const { shape, error } = await this.submit({
      begin,
      name,
      parse: sql,
      describe: true,
      close: this.evict(),
      values: null,
    });
    if (error) throw driverError(shortMessage(error, this.quoteRows));
    this.prepared.set(sql, name);
    const known = await this.resolveShape(shape);
    rememberShape(sql, known);
    return known;
  }

  private async resolveShape(shape: Shape): Promise<Known> {
    const oids = [...shape.params, ...shape.columns.map((c) => c.dataTypeID)];
    await this.learn(oids.filter((oid) => !typeOf(oid)));
    return {
      params: shape.params.map((oid) => typeOf(oid) as PgType),
      columns: shape.columns.map((c) => {
        const type = typeOf(c.dataTypeID) as PgType;
        return { name: c.name, type, parse: columnParser(type) };
      }),
    };
  }

  private async learn(oids: number[]): Promise<void> {
    if (oids.length === 0) return;
    const values = [`{${[...new Set(oids)].join(",")}}`];
    const { rows } = await this.submit({
      begin: false,
      name: "",
      parse: TYPE_QUERY,
      describe: false,
      close: null,
      values,
    });
    for (const [oid, typname, typtype, typelem, typcategory] of rows as string[][]) {
      const row = { oid, typname, typtype, typelem, typcategory } as TypeRow;
      const kind = kindOf(row);
      if (kind === "array" && !typeOf(Number(row.typelem))) await this.learn([Number(row.typelem)]);
      const element = kind === "array" ? (typeOf(Number(row.typelem)) ?? null) : null;
      remember({ oid: Number(row.oid), name: row.typname, kind, element });
    }
    for (const oid of oids) if (!typeOf(oid)) remember({ oid, name: String(oid), kind: "other", element: null });
  }

  private async execute(
    sql: string,
    known: Known,
    name: string,
    args: readonly unknown[],
    parse: boolean,
  ): Promise<Result> {
    const values = encodeParams(args, known.params);
    const close = parse ? this.evict() : null;
    const begin = this.takeBegin();
    const outcome = await this.submit({ begin, name, parse: parse ? sql : null, describe: false, close, values });
    if (!outcome.error) {
      if (parse) this.prepared.set(sql, name);
      return { rows: outcome.rows.map((r) => new Row(known.columns, r)), error: null };
    }
    if (parse && outcome.running) this.prepared.set(sql, name);
    if (isStale(outcome.error)) {
      shapes.delete(sql);
      this.prepared.delete(sql);
    }
    if (!outcome.running) throw driverError(shortMessage(outcome.error, this.quoteRows));
    return {
      rows: outcome.rows.map((r) => new Row(known.columns, r)),
      error: driverError(fullMessage(outcome.error, this.quoteRows)),
    };
  }

  /** Statements without parameters or rows: COMMIT, ROLLBACK. */
  async simple(sql: string): Promise<void> {
    this.asked++;
    try {
      await this.client.query(sql);
    } catch (e) {
      throw driverError(shortMessage(e, this.quoteRows));
    } finally {
      this.answered();
    }
  }
}

/** The table changed under a prepared statement: it has to be prepared anew. */
function isStale(e: Error): boolean {
  return isDatabaseError(e) && (e.code === "26000" || (e.code === "0A000" && e.message.includes("cached plan")));
}
