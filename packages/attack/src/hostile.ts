import { connect } from "node:net";
import { type Finding, finding } from "./finding";
import { must, send } from "./http";
import type { Party } from "./party";

const MEGABYTE = 1 << 20;
const RAW_MS_MAX = 8_000;

/** Requests that are made to break a server or to be taken for two: each is refused with an answer of its own, and the server goes on. */
export async function attackServer(attacker: Party): Promise<{ tried: number; findings: Finding[] }> {
  const findings: Finding[] = [];
  const { url, key } = attacker;
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    send(url, { method: "POST", path: "/threads", key, body, headers }).catch((error: unknown) => ({
      status: 0, // the connection was closed on what is far too large: as good as a refusal
      headers: "",
      text: String(error),
    }));
  const bodies: [name: string, body: unknown, allowed?: number[]][] = [
    ["a body of 8 MB", { title: "x".repeat(8 * MEGABYTE) }, [0, 400, 413]],
    ["JSON nested 100 000 deep", `{"title":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, [0, 400, 413]],
    ["50 000 agents", { agents: Array.from({ length: 50_000 }, () => "agent_x") }, [0, 400, 413]],
    ["a number of 10 000 digits", `{"exchange_limits":{"hops":${"9".repeat(10_000)}}}`, [0, 400]],
    [
      "__proto__ and constructor",
      '{"title":"x","__proto__":{"orgID":"org_x","role":"owner"},"constructor":{"prototype":{"a":1}}}',
      [200, 400],
    ],
    ["a key given twice", '{"title":"a","title":"b"}', [200, 400]],
    ["half of JSON", '{"title":"a', [400]],
    ["U+0000 in a text", { title: "a\u0000b" }, [400]],
  ];
  for (const [name, body, allowed = [400]] of bodies) {
    const { status, text } = await post(body);
    if (!allowed.includes(status)) findings.push(finding(name, `answered ${status}`, text));
  }
  const raws: [name: string, request: string, mustNot: RegExp][] = [
    [
      "two lengths",
      raw(url, key, "Content-Length: 2\r\nContent-Length: 40\r\n", "{}GET /people HTTP/1.1\r\nHost: x\r\n\r\n"),
      /HTTP\/1\.1 200[\s\S]*"people"/,
    ],
    [
      "a length and chunks",
      raw(url, key, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nGET /people HTTP/1.1\r\n\r\n"),
      /"people"/,
    ],
    ["100 000 bytes of headers", raw(url, key, `X-Long: ${"x".repeat(100_000)}\r\n`, "{}"), /HTTP\/1\.1 200/],
    [
      "a line break in a header",
      raw(url, key, "Idempotency-Key: a\nX-Injected: b\r\nContent-Length: 2\r\n", "{}"),
      /^X-Injected/im,
    ],
  ];
  for (const [name, request, mustNot] of raws) {
    const answer = await speak(url, request);
    if (mustNot.test(answer)) findings.push(finding(name, "was taken for something else", answer));
  }
  await must(url, { method: "GET", path: "/threads", key }); // it goes on
  return { tried: bodies.length + raws.length, findings };
}

function raw(url: string, key: string, headers: string, body: string): string {
  return `POST /threads HTTP/1.1\r\nHost: ${new URL(url).host}\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n${headers}\r\n${body}`;
}

/** Says something over TCP, and gives back what comes; of https nothing, which has its own terminator before it. */
function speak(url: string, request: string): Promise<string> {
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== "http:") return Promise.resolve("");
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(Number(port || 80), hostname, () => socket.write(request));
    const end = () => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_500, end);
    const late = setTimeout(end, RAW_MS_MAX);
    socket.on("data", (data) => {
      answer += data.toString("latin1");
    });
    socket.on("error", end);
    socket.on("close", () => {
      clearTimeout(late);
      end();
    });
  });
}
