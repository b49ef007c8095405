import { describe, expect, it } from "vitest";
import { makeSeats } from "./stream-seats";

describe("seats for streams", () => {
  it("are bounded for one organization, which leaves the others theirs (SSE-1)", () => {
    const seats = makeSeats({ perOrg: 2, total: 10 });
    expect(seats.take("a")).not.toBeNull();
    const leave = seats.take("a");
    expect(seats.take("a")).toBeNull();
    expect(seats.take("b")).not.toBeNull();
    leave?.();
    leave?.(); // a seat is given back once
    expect(seats.take("a")).not.toBeNull();
    expect(seats.take("a")).toBeNull();
  });

  it("are bounded for the process (SSE-1)", () => {
    const seats = makeSeats({ perOrg: 2, total: 3 });
    const taken = ["a", "a", "b"].map((org) => seats.take(org));
    expect(taken).not.toContain(null);
    expect(seats.take("c")).toBeNull();
    taken[0]?.();
    expect(seats.take("c")).not.toBeNull();
  });
});
