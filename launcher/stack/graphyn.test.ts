import { describe, expect, it } from "vitest";
import { environmentFor } from "./graphyn";

describe("the environment Graphyn is started in", () => {
  it("is local where only this machine can reach it, and nowhere else (ENC-1, RUN-1)", () => {
    expect(["127.0.0.1", "::1", "localhost"].map(environmentFor)).toEqual(["local", "local", "local"]);
    expect(["0.0.0.0", "::", "192.168.1.7", "127.0.0.1.example.org"].map(environmentFor)).toEqual(
      Array(4).fill("production"),
    );
  });
});
