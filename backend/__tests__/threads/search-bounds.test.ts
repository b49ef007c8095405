import { beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";

/** More than a search ranks. */
const MESSAGES = 2_500;

interface Found {
  results: { message: { id: string; content: string; thread_id: string }; found_by: string[] }[];
}

describe("a search in a large organization", () => {
  let org: TestOrganization;
  let long: string;
  let short: string;
  let last: string;
  beforeAll(async () => {
    org = await newOrganization();
    const say = async (id: string, content: string) =>
      (await ok(org.call<{ message: { id: string } }>("POST", `/threads/${id}/messages`, { content }))).message.id;
    long = await newThread(org);
    await adminQuery(
      inject("graphyn").adminUrl,
      `with head as (update threads set last_seq = last_seq + $2::int where id = $1 returning org_id, id, last_seq - $2::int as base),
       entry as (insert into thread_log (org_id, thread_id, seq, kind) select org_id, id, base + n, 'message' from head, generate_series(1, $2::int) n)
       insert into messages (org_id, thread_id, seq, id, sender_type, sender_id, sender_name, content)
       select org_id, id, base + n, 'msg_00' || right(id, 12) || n, 'user', 'user_x', 'Bulk', 'a kettle for everybody' || case when n = 7 then ' and a samovar' else '' end
       from head, generate_series(1, $2::int) n`,
      [long, MESSAGES],
    );
    last = await say(long, "kettle, kettle, kettle");
    short = await newThread(org);
    await say(short, "one kettle");
  });
  const search = async (q: string, more = "") =>
    (await ok(org.call<Found>("GET", `/search?q=${encodeURIComponent(q)}${more}`))).results;

  it("finds the newest of a word that stands in more messages than are ranked (DAT-1, DAT-2)", async () => {
    for (const more of ["", `&thread_id=${long}`]) expect((await search("kettle", more))[0]?.message.id).toBe(last);
  });

  it("finds a rare word wherever it is (DAT-1, DAT-2)", async () => {
    for (const more of ["", `&thread_id=${long}`])
      expect((await search("samovar", more))[0]?.message.content).toContain("samovar");
    expect(await search("samovar kettle", `&thread_id=${short}`)).toEqual([]);
  });

  it("keeps to the thread, and takes no id of it for a word of a message (SEC-1)", async () => {
    const found = await search("kettle", `&thread_id=${short}`);
    expect(found.map(({ message }) => message.content)).toEqual(["one kettle"]);
    expect(await search("''", `&thread_id=${short}`)).toEqual([]);
  });
});
