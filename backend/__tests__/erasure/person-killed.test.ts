import { describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { ok } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { type Begun, erased, leaseRunsOut, wordy } from "./erased";
import { wherePlanted } from "./planted";

const graphyn = inject("graphyn");

describe("an erasure whose process is killed", () => {
  it.each(["stop", "words", "memory", "rest"])(
    "at the step %s is ended by another process (SEC-6)",
    async (step) => {
      let server: Server | null = await startServer({
        databaseUrl: graphyn.databaseUrl,
        adminKey: graphyn.adminKey,
      });
      try {
        const { word, org, person } = await wordy(server);
        const begun = await ok(org.call<Begun>("POST", "/erasure", { person_id: person }));
        for (;;) {
          const [row] = await adminQuery<{ step: string; state: string }>(
            graphyn.adminUrl,
            "select step, state from erasures where org_id = $1",
            [org.orgId],
          );
          if (row?.state === "done" || row?.step === step) break;
        }
        await server.stop("SIGKILL");
        server = null;
        // Of the first the lease runs out by itself.
        if (step !== "stop") await leaseRunsOut(org.orgId);
        const view = await erased({ ...org, url: graphyn.url }, begun, 90_000);
        expect(view.counts).toMatchObject({ members: 1, messages: 4, agents_to_relearn: 2 });
        const left = (await wherePlanted(word)).filter((place) => place !== "graphyn:public.organizations");
        expect(left).toEqual([]);
      } finally {
        await server?.stop();
      }
    },
    150_000,
  );
});
