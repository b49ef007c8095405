import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { LINE_BYTES_MAX } from "./format";
import { type BadLines, readLines } from "./read-lines";

async function linesOf(pieces: (Buffer | Error)[]): Promise<string[]> {
  const body = Readable.from(
    (async function* () {
      for (const piece of pieces) {
        if (piece instanceof Error) throw piece;
        yield piece;
      }
    })(),
    { objectMode: false },
  );
  const texts: string[] = [];
  for await (const { text, number, bytes } of readLines(body)) {
    expect(number).toBe(texts.length + 1);
    expect(bytes.toString()).toBe(`${text}\n`);
    texts.push(text);
  }
  return texts;
}

const reasonOf = async (pieces: (Buffer | Error)[]) =>
  linesOf(pieces).then(
    () => null,
    (error: BadLines) => error.why,
  );

describe("the lines of an archive", () => {
  it("are the same in whatever pieces they arrive (SEC-7)", async () => {
    const text = 'one\n\n{"ü": "\u{1F600}"}\nlast line\n';
    const all = Buffer.from(text);
    for (let size = 1; size <= all.length; size++) {
      const pieces = Array.from({ length: Math.ceil(all.length / size) }, (_, n) =>
        all.subarray(n * size, (n + 1) * size),
      );
      expect(await linesOf(pieces)).toEqual(["one", "", '{"ü": "\u{1F600}"}', "last line"]);
    }
  });

  it("end with a line feed, or were cut off; so they were where the connection broke (SEC-7)", async () => {
    expect(await reasonOf([Buffer.from("one\ntwo")])).toBe("cut_off");
    expect(await reasonOf([Buffer.from("one\n"), new Error("ECONNRESET")])).toBe("cut_off");
  });

  it("are UTF-8, and of bounded length (SEC-7)", async () => {
    expect(await reasonOf([Buffer.from([0x22, 0xff, 0x22, 0x0a])])).toBe("no_utf8");
    expect(await reasonOf([Buffer.alloc(LINE_BYTES_MAX, "x"), Buffer.from("xx")])).toBe("too_large");
  });
});
