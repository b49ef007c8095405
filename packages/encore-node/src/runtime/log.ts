/** JSON lines by pino; on a terminal one readable line each. Never bodies, never query strings. */

import pino from "pino";

export type Fields = Record<string, unknown>;

const LEVELS: Record<number, "trace" | "debug" | "info" | "warn" | "error"> = {
  1: "trace",
  2: "debug",
  3: "info",
  4: "warn",
  5: "error",
};
const COLOURS: Record<number, string> = {
  10: "\x1b[90m",
  20: "\x1b[90m",
  30: "\x1b[32m",
  40: "\x1b[33m",
  50: "\x1b[31m",
};

function terminalLine(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as { level: string; time: number; msg?: string };
  const code = pino.levels.values[level] ?? 30;
  const clock = new Date(time).toISOString().slice(11, 23);
  const fields = Object.entries(rest)
    .map(([k, v]) => `\x1b[36m${k}\x1b[0m=${typeof v === "string" ? v : JSON.stringify(v)}`)
    .join(" ");
  return `\x1b[90m${clock}\x1b[0m ${COLOURS[code]}${level.slice(0, 3).toUpperCase()}\x1b[0m ${msg ?? ""} ${fields}\n`;
}

export function makeLogger(level: string): pino.Logger {
  const out = process.stdout.isTTY
    ? { write: (line: string) => void process.stdout.write(terminalLine(line)) }
    : pino.destination({ dest: 1, sync: false });
  const known = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
  return pino(
    {
      level: known.includes(level) ? level : level === "off" ? "silent" : "info",
      base: null,
      formatters: { level: (label) => ({ level: label }) },
    },
    out,
  );
}

interface Source {
  traceId: string;
  spanId: string;
  auth: { userId: string } | null;
  endpoint: { meta: { service: string; name: string } } | null;
}

/** `runtime.Logger`. */
export class Logger {
  constructor(
    private readonly pino: pino.Logger,
    private readonly fields: Fields = {},
  ) {}

  log(
    request: Source | null | undefined,
    level: number,
    msg: string,
    error?: Error | null,
    caller?: string,
    fields?: Fields | null,
  ): void {
    const name = LEVELS[level] ?? "info";
    if (!this.pino.isLevelEnabled(name)) return;
    this.pino[name](
      {
        ...(request ? requestFields(request) : {}),
        ...this.fields,
        ...fields,
        ...(caller ? { caller } : {}),
        ...(error ? { error: error.message, stack: error.stack } : {}),
      },
      msg,
    );
  }

  withLevel(level: number): Logger {
    const child = this.pino.child({}, { level: LEVELS[level] ?? "info" });
    return new Logger(child, this.fields);
  }

  with(fields: Fields): Logger {
    return new Logger(this.pino, { ...this.fields, ...fields });
  }
}

export function requestFields(r: Source): Fields {
  return {
    ...(r.endpoint ? { service: r.endpoint.meta.service, endpoint: r.endpoint.meta.name } : {}),
    trace_id: r.traceId,
    span_id: r.spanId,
    ...(r.auth ? { uid: r.auth.userId } : {}),
  };
}
