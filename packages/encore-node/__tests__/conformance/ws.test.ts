/** Every recorded WebSocket conversation goes as recorded (ENC-1). */

import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { converse, type LogEntry } from "./converse.js";
import { FIXTURE, type Host, recordedApp } from "./host.js";

interface Conversation {
  name: string;
  path: string;
  headers: Record<string, string>;
  protocols?: string[];
  sends: unknown[];
  log: LogEntry[];
}

const conversations = JSON.parse(readFileSync(path.join(FIXTURE, "ws.json"), "utf8")) as Conversation[];

/** Encore sometimes cuts the connection before its close frame: 1006 stands for 1005 (`echo` and `echo-missing-header-ok` are the same conversation). */
function settled(log: LogEntry[]): LogEntry[] {
  return log.map((e) => ("close" in e && e.close === 1006 ? { ...e, close: 1005 } : e));
}

describe("recorded conversations", () => {
  let host: Host;
  beforeAll(async () => {
    host = await recordedApp();
  });
  afterAll(async () => {
    await host.stop();
  });

  it.concurrent.each(conversations)("converses $name as recorded (ENC-1)", async (c) => {
    const log = await converse(host.url, c);
    expect(settled(log)).toEqual(settled(c.log));
  });
});
