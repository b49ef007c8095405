/**
 * One statement on one connection, as a pg "submittable". Each SQL text is prepared once per connection under a name;
 * what it takes and gives is remembered for all. A transaction's BEGIN travels in the same message as its first
 * statement.
 */

import type { Connection } from "pg";

export interface FieldInfo {
  name: string;
  dataTypeID: number;
}

export interface Shape {
  params: number[];
  columns: FieldInfo[];
}

export interface Submission {
  begin: boolean;
  name: string;
  /** SQL text when it is to be prepared now. */
  parse: string | null;
  /** Ask for parameter and column types. */
  describe: boolean;
  /** Statement to forget first. */
  close: string | null;
  /** Null: do not run it. */
  values: (string | null)[] | null;
}

export interface Outcome {
  shape: Shape;
  rows: (string | null)[][];
  error: Error | null;
  /** The error came while the statement ran, not while it was prepared or its parameters were read. */
  running: boolean;
}

interface DescribeMessage {
  fields: FieldInfo[];
}

/** pg's Connection with the methods that its types leave out. */
export type WireConnection = Connection & {
  stream: { cork(): void; uncork(): void; destroy(error: Error): void };
  parse(q: { name: string; text: string; types?: number[] }): void;
  bind(c: { portal: string; statement: string; values: (string | null)[]; binary?: boolean }): void;
  execute(c: { portal: string; rows: number }): void;
  describe(m: { type: "S" | "P"; name: string }): void;
  close(m: { type: "S" | "P"; name: string }): void;
  sync(): void;
};

export class Statement {
  private readonly outcome: Outcome = { shape: { params: [], columns: [] }, rows: [], error: null, running: false };
  private beginning: boolean;

  constructor(
    private readonly s: Submission,
    private readonly done: (outcome: Outcome) => void,
  ) {
    this.beginning = s.begin;
  }

  submit(connection: WireConnection): void {
    const { s } = this;
    connection.stream.cork();
    if (s.begin) {
      connection.parse({ name: "", text: "BEGIN" });
      connection.bind({ portal: "", statement: "", values: [] });
      connection.execute({ portal: "", rows: 0 });
    }
    if (s.close !== null) connection.close({ type: "S", name: s.close });
    if (s.parse !== null) connection.parse({ name: s.name, text: s.parse });
    if (s.describe) connection.describe({ type: "S", name: s.name });
    if (s.values !== null) {
      connection.bind({ portal: "", statement: s.name, values: s.values });
      connection.execute({ portal: "", rows: 0 });
    }
    connection.sync();
    connection.stream.uncork();
  }

  /** Routed to us by the connection's owner: pg's client does not hand these on. */
  handleParameterDescription(msg: { dataTypeIDs: number[] }): void {
    this.outcome.shape.params = msg.dataTypeIDs;
  }
  handleBindComplete(): void {
    if (!this.beginning) this.outcome.running = true;
  }
  handleRowDescription(msg: DescribeMessage): void {
    this.outcome.shape.columns = msg.fields.map(({ name, dataTypeID }) => ({ name, dataTypeID }));
  }
  handleDataRow(msg: { fields: (string | null)[] }): void {
    this.outcome.rows.push(msg.fields);
  }
  handleCommandComplete(): void {
    this.beginning = false;
  }
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyInResponse(connection: { sendCopyFail?(m: string): void }): void {
    connection.sendCopyFail?.("COPY is not supported");
  }
  handleCopyData(): void {}
  handleError(error: Error): void {
    this.outcome.error = error;
    this.done(this.outcome);
  }
  handleReadyForQuery(): void {
    this.done(this.outcome);
  }
}
