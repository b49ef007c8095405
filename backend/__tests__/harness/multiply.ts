import type pg from "pg";

/**
 * Rows of the application's own making, many times: every table of an organization is copied as it stands, with other ids. So a table is
 * filled in exactly the form that the application writes, and a table that somebody adds is filled too.
 */
export interface Multiplying {
  copies: number;
  /** Ids of these kinds stay, as in `user_…`; all others become others, and rows that would then be there twice are left out. */
  keep: readonly string[];
  /** Which characters of an id say the number of the copy: another slot for each multiplication of what was multiplied before. */
  slot: 0 | 1;
  orgId: string;
  /** Only what belongs to this thread. */
  threadId?: string;
  /** Places of the log are moved on by so much with each copy, so that it goes on with the thread. */
  seqPeriod?: number;
  /** What a column of the copies holds instead, as SQL over the row `t` and the copy's number `k`; by `table.column`. */
  vary?: Readonly<Record<string, string>>;
}

/** Kinds of ids that say who and not what: kept within an organization. */
export const WHO = ["org", "user", "agent", "agver", "key"] as const;

interface Column {
  name: string;
  type: string;
}

/** TypeIDs have 26 characters after their prefix: time first, then chance. */
const ID_CHARS = "[0-9a-hjkmnp-tv-z]";
const SLOT_CHARS = 6;
const SEQ = /^(seq|.+_seq)$/;
/** A character that no text of the application has. */
const MARK = "chr(1)";
/** Kinds of columns that can hold ids. */
const TEXTS = new Set(["text", "text[]", "jsonb"]);

/** As an administrator, with foreign keys and triggers off for this connection: to be called in a transaction, before anybody looks. */
export async function multiply(client: pg.Client | pg.PoolClient, what: Multiplying): Promise<void> {
  await client.query("set local session_replication_role = replica");
  for (const [table, columns] of await tenantTables(client)) {
    const names = new Set(columns.map(({ name }) => name));
    const where = ["t.org_id = $1"];
    if (what.threadId !== undefined) {
      const mine = "select id from messages where org_id = $1 and thread_id = $2";
      if (names.has("thread_id")) where.push("t.thread_id = $2");
      else if (names.has("message_id")) where.push(`t.message_id in (${mine})`);
      else if (names.has("turn_id"))
        where.push("t.turn_id in (select id from turns where org_id = $1 and thread_id = $2)");
      else continue;
    }
    const list = columns.map(({ name }) => `"${name}"`).join(", ");
    const isVaried = ({ name }: Column) => what.vary?.[`${table}.${name}`] !== undefined;
    // Ids are looked for once in each row, and not once in each copy of it: a number into a marked place costs next to nothing.
    await client.query(
      `with t as materialized (
         select ${columns.map((column) => `${isVaried(column) ? `t."${column.name}"` : marked(column, what)} as "${column.name}"`).join(", ")}
         from "${table}" t where ${where.join(" and ")})
       insert into "${table}" (${list}) overriding system value
       select ${columns.map((column) => what.vary?.[`${table}.${column.name}`] ?? copied(column, what)).join(", ")}
       from t cross join (select k, lpad(k::text, ${SLOT_CHARS}, '0') as number from generate_series(1, ${what.copies}) k) k
       on conflict do nothing`,
      what.threadId === undefined ? [what.orgId] : [what.orgId, what.threadId],
    );
  }
}

/** A column's text with MARK where the copy's number is to stand; any other column as it is. */
function marked({ name, type }: Column, { keep, slot }: Multiplying): string {
  const column = `t."${name}"`;
  if (!TEXTS.has(type)) return column;
  const kept = 26 - SLOT_CHARS * (slot + 1);
  const after = SLOT_CHARS * slot;
  const kinds = keep.length === 0 ? "[a-z]+" : `(?!(?:${keep.join("|")})_)[a-z]+`;
  const id = `\\m(${kinds}_${ID_CHARS}{${kept}})${ID_CHARS}{${SLOT_CHARS}}(${ID_CHARS}{${after}})\\M`;
  const text = `regexp_replace(${column}::text, '${id}', '\\1' || ${MARK} || '\\2', 'g')`;
  // What Letta names is Letta's, one for each of ours: the last group of a UUID.
  return keep.includes("agver")
    ? text
    : `regexp_replace(${text}, '-([0-9a-f]{${6 * (1 - slot)}})[0-9a-f]{6}([0-9a-f]{${6 * slot}})\\M', '-\\1' || ${MARK} || '\\2')`;
}

function copied({ name, type }: Column, { seqPeriod }: Multiplying): string {
  const column = `t."${name}"`;
  if (SEQ.test(name) && seqPeriod !== undefined) return `${column} + k * ${seqPeriod}`;
  if (!TEXTS.has(type)) return column;
  const text = `replace(${column}, ${MARK}, k.number)`;
  return type === "text" ? text : `(${text})::${type}`;
}

/** Tables with rows of organizations, and their columns that can be written. */
async function tenantTables(client: pg.Client | pg.PoolClient): Promise<Map<string, Column[]>> {
  const { rows } = await client.query<{ table: string; name: string; type: string }>(
    `select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type
     from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
       and exists (select from pg_attribute o where o.attrelid = c.oid and o.attname = 'org_id' and not o.attisdropped)
     order by c.relname, a.attnum`,
  );
  const tables = new Map<string, Column[]>();
  for (const { table, name, type } of rows) tables.set(table, [...(tables.get(table) ?? []), { name, type }]);
  return tables;
}

/** Makes a thread so many times as long, by copies of what was said in it so far. */
export async function lengthen(
  client: pg.Client | pg.PoolClient,
  { orgId, threadId, copies, vary = {} }: Pick<Multiplying, "orgId" | "copies" | "vary"> & { threadId: string },
): Promise<void> {
  const { rows } = await client.query<{ last_seq: string }>("select last_seq from threads where id = $1", [threadId]);
  const seqPeriod = Number(rows[0]?.last_seq);
  await multiply(client, {
    orgId,
    threadId,
    copies,
    keep: [...WHO, "thread", "part"],
    slot: 0,
    seqPeriod,
    vary,
  });
  await client.query("update threads set last_seq = last_seq * $2 where id = $1", [threadId, copies + 1]);
  await client.query("update agent_conversations set heard_seq = heard_seq + $2 where thread_id = $1", [
    threadId,
    seqPeriod * copies,
  ]);
}
