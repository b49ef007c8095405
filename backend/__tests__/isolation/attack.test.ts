// biome-ignore-all lint/suspicious/noTemplateCurlyInString: parts of sources, to be found in them
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { attack, type Finding, type PartName } from "attack";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { type Server, startServer } from "../harness/server";

const BACKEND = fileURLToPath(new URL("../../", import.meta.url));
const BUILDS = join(BACKEND, "..", ".graphyn");
const ADMIN_KEY = "the-operators-key-of-a-broken-build";
const ATTACK_MS_MAX = 240_000;
const RECORD_LOOK_MS = 500;

/** A wall that is taken down: the policy of some tables, and the filter of one query. The suite must see it once both are gone. */
interface Breach {
  name: string;
  tables: string[];
  file: string;
  /** Every place of it is replaced. */
  from: RegExp;
  to: string;
  parts: PartName[];
}

const BREACHES: Breach[] = [
  {
    name: "a thread that is looked up by its id alone",
    tables: ["threads"],
    file: "threads/thread-context.ts",
    from: /where t\.org_id = \$1 and t\.id = \$2/g,
    to: "where $$1::text is not null and t.id = $$2",
    parts: ["Endpoints"],
  },
  {
    name: "an agent that is looked up by its id alone",
    tables: ["agents", "agent_versions"],
    file: "agents/read-agents.ts",
    from: /a\.org_id = \$\{orgId\} and a\.id = \$\{id\}/g,
    to: "$${orgId}::text is not null and a.id = $${id}",
    parts: ["Endpoints"],
  },
  {
    name: "a list of everybody's people",
    tables: ["members", "users"],
    file: "organizations/people.ts",
    from: /m\.org_id = \$\{orgID\} and m\.user_id > /g,
    to: "$${orgID}::text is not null and m.user_id > ",
    parts: ["Own reads"],
  },
  {
    name: "a key that is revoked by its id alone",
    tables: ["api_keys", "members"],
    file: "organizations/api-keys.ts",
    from: /(\w+\.)?org_id = \$\{orgID\} and (\w+\.)?id = \$\{id\}/g,
    to: "$${orgID}::text is not null and $2id = $${id}",
    parts: ["Endpoints"],
  },
];

async function findings(url: string, adminKey: string, parts?: PartName[]): Promise<Finding[]> {
  const made = await attack({ url, admits: { adminKey } }, undefined, parts);
  return made.flatMap((part) => part.findings);
}

interface Asked {
  id: number;
  path: string;
  user: string | null;
  body: unknown;
}

const WORD = /canary[0-9a-f]{12}/g;

/** Collects what the dev model is asked from now on that holds a word of an attack, until it is stopped: its record holds the newest requests only. */
async function watchPrompts(): Promise<{ stop(): Promise<Asked[]> }> {
  const recorded = async () => {
    const answer = await fetch(`${process.env.DEV_MODEL_URL}/debug/requests?contains=canary&limit=1000`);
    return ((await answer.json()) as { requests: Asked[] }).requests;
  };
  const before = Math.max(0, ...(await recorded()).map(({ id }) => id));
  const asked = new Map<number, Asked>();
  let isOpen = true;
  const look = async () => {
    for (const request of await recorded()) {
      if (request.id > before && JSON.stringify(request.body).match(WORD)) asked.set(request.id, request);
    }
  };
  const watching = (async () => {
    while (isOpen) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, RECORD_LOOK_MS));
    }
  })();
  return {
    async stop() {
      isOpen = false;
      await watching;
      await look();
      return [...asked.values()];
    },
  };
}

/** Which organization each user of Letta's is, and each organization's word, which its name ends with. */
async function whoseAreThey(adminUrl: string): Promise<{ word: string; lettaUser: string }[]> {
  return adminQuery(
    adminUrl,
    `select substring(o.name from 'canary[0-9a-f]{12}') as word, t.letta_user_id as "lettaUser"
     from organizations o join letta_tenants t using (org_id) where o.name ~ '^Organization canary[0-9a-f]{12}$' and t.letta_user_id is not null`,
  );
}

describe("the cross-tenant suite", () => {
  it(
    "finds nothing: every endpoint, socket message, list, prompt and hostile request; no model is told another's words (SEC-2, LET-1)",
    async () => {
      const { url, adminKey, adminUrl } = inject("graphyn");
      const prompts = await watchPrompts();
      const parts: PartName[] = [
        "Own reads",
        "Without a key",
        "Endpoints",
        "Sockets",
        "The victim",
        "Prompts",
        "Headers",
        "Hostile",
      ];
      const found = await findings(url, adminKey, parts).finally(prompts.stop);
      expect(found).toEqual([]); // the times of answers are for quiet machines: ./graphyn attack
      // What the models were really asked, for whichever organization: its own word stands there, and nobody else's.
      const chats = (await prompts.stop()).filter(({ path }) => path.endsWith("/chat/completions"));
      const told = await whoseAreThey(adminUrl);
      const wordsOf = (lettaUser: string) =>
        chats.filter(({ user }) => user === lettaUser).flatMap(({ body }) => JSON.stringify(body).match(WORD) ?? []);
      const both = told.filter(({ lettaUser }) => wordsOf(lettaUser).length > 0);
      expect(both.length).toBeGreaterThanOrEqual(2);
      for (const { word, lettaUser } of both) expect(new Set(wordsOf(lettaUser))).toEqual(new Set([word]));
      const known = new Set(told.map(({ lettaUser }) => lettaUser));
      expect(chats.filter(({ user }) => !known.has(user ?? ""))).toEqual([]);
    },
    ATTACK_MS_MAX,
  );
});

describe("a build with a wall taken down", () => {
  let database: TestDatabase;
  const copies: string[] = [];
  beforeAll(async () => {
    database = await createDatabase();
    await (await startServer({ databaseUrl: database.url, adminKey: ADMIN_KEY })).stop(); // migrates it
  });
  afterAll(async () => {
    for (const copy of copies) rmSync(copy, { recursive: true, force: true });
    await database.drop();
  });

  /** A copy of the application without these filters, below the sources' root, where its packages are found. */
  function withoutFilters(breaches: Breach[]): string {
    mkdirSync(BUILDS, { recursive: true });
    const copy = mkdtempSync(join(BUILDS, "broken-build-"));
    copies.push(copy);
    const left = new Set(["node_modules", "__tests__", ".encore", "encore.gen"]);
    cpSync(BACKEND, copy, { recursive: true, filter: (file) => !left.has(basename(file)) });
    for (const { file, from, to } of breaches) {
      const source = readFileSync(join(copy, file), "utf8");
      expect(source.search(from), `${file} still has the filter ${from}`).not.toBe(-1);
      writeFileSync(join(copy, file), source.replace(from, to));
    }
    return copy;
  }

  /** Opens the tables to every organization while `work` runs. */
  async function withoutPolicies(breaches: Breach[], work: () => Promise<void>): Promise<void> {
    const tables = [...new Set(breaches.flatMap((breach) => breach.tables))];
    const open = (yes: boolean) =>
      tables.map((table) =>
        yes
          ? `create policy opened on ${table} to graphyn_tenant using (true) with check (true)`
          : `drop policy opened on ${table}`,
      );
    for (const statement of open(true)) await adminQuery(database.adminUrl, statement);
    try {
      await work();
    } finally {
      for (const statement of open(false)) await adminQuery(database.adminUrl, statement);
    }
  }

  async function on<T>(app: string, work: (server: Server) => Promise<T>): Promise<T> {
    const server = await startServer({ databaseUrl: database.url, adminKey: ADMIN_KEY, app });
    try {
      return await work(server);
    } finally {
      await server.stop();
    }
  }

  const everything: PartName[] = ["Own reads", "Endpoints"];

  it(
    "still holds by row-level security alone, and by its filters alone (SEC-2)",
    async () => {
      const filtersGone = withoutFilters(BREACHES);
      expect(await on(filtersGone, ({ url }) => findings(url, ADMIN_KEY, everything))).toEqual([]);
      await withoutPolicies(BREACHES, async () => {
        expect(await on("backend", ({ url }) => findings(url, ADMIN_KEY, everything))).toEqual([]);
      });
    },
    2 * ATTACK_MS_MAX,
  );

  it.each(BREACHES)(
    "is seen by the suite once both are gone: $name (SEC-2)",
    async (breach) => {
      const app = withoutFilters([breach]);
      await withoutPolicies([breach], async () => {
        const found = await on(app, ({ url }) => findings(url, ADMIN_KEY, breach.parts));
        expect(found).not.toEqual([]);
      });
    },
    ATTACK_MS_MAX,
  );
});
