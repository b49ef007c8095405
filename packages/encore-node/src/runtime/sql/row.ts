/** What a statement takes and gives, remembered by its text; and its rows. */

import { driverError } from "./errors.js";
import type { PgType } from "./types.js";
import type { ColumnParser } from "./values.js";

/** SQL texts whose types are remembered in this process. */
const SHAPES_MAX = 2000;

export interface Column {
  name: string;
  type: PgType;
  parse: ColumnParser | null;
}

export interface Known {
  params: PgType[];
  columns: Column[];
}

export const shapes = new Map<string, Known>();

export function rememberShape(sql: string, known: Known): void {
  if (shapes.size >= SHAPES_MAX) shapes.delete(shapes.keys().next().value as string);
  shapes.set(sql, known);
}

export class Row {
  constructor(
    private readonly columns: Column[],
    private readonly fields: (string | null)[],
  ) {}

  values(): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    for (let i = 0; i < this.columns.length; i++) {
      const column = this.columns[i] as Column;
      const text = this.fields[i] as string | null;
      if (text === null) out[column.name] = null;
      else if (column.parse) out[column.name] = column.parse(text);
      else throw driverError(`unable to parse column ${column.name}: unsupported type: ${column.type.name}`);
    }
    return out;
  }
}
