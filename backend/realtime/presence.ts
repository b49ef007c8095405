import type { Tx } from "../db/tenant";
import { LINGER_MS, PRESENCE_MS, TABS_SHOWN_MAX, TYPING_MS } from "./limits";

/** One tab of a person, held by one connection. */
export interface Seat {
  threadId: string;
  userId: string;
  tab: string;
  connectionId: string;
}

export interface PresenceRow {
  thread_id: string;
  user_id: string;
  name: string;
  tab: string;
  since: Date;
  /** Milliseconds that typing still holds; null when not typing. */
  typing_ms: number | null;
}

/** Takes tabs for their connections, from whatever connection had them: a client that comes back is where it was. */
export async function takeTab(tx: Tx, orgId: string, seat: Seat): Promise<void> {
  await tx.exec`
    insert into presence (org_id, thread_id, user_id, tab, connection_id, expires_at)
    values (${orgId}, ${seat.threadId}, ${seat.userId}, ${seat.tab}, ${seat.connectionId}, now() + make_interval(secs => ${PRESENCE_MS / 1000}::float8))
    on conflict (org_id, thread_id, user_id, tab) do update
      set connection_id = excluded.connection_id, expires_at = excluded.expires_at,
        since = case when presence.expires_at > now() then presence.since else now() end, typing_until = null`;
}

/**
 * Keeps tabs alive, in one statement. Those that are gone (an unlogged table is empty after a crash) are written anew; those that a newer
 * connection holds are left to it. Old rows of processes that died go with it.
 */
export async function keepTabs(tx: Tx, orgId: string, seats: Seat[]): Promise<void> {
  const rows = seats.map(({ threadId, userId, tab, connectionId }) => ({
    thread_id: threadId,
    user_id: userId,
    tab,
    connection_id: connectionId,
  }));
  await tx.exec`
    insert into presence (org_id, thread_id, user_id, tab, connection_id, expires_at)
    select ${orgId}, thread_id, user_id, tab, connection_id, now() + make_interval(secs => ${PRESENCE_MS / 1000}::float8)
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as s(thread_id text, user_id text, tab text, connection_id text)
    where exists (select from threads t where t.org_id = ${orgId} and t.id = s.thread_id)
      and exists (select from members m where m.org_id = ${orgId} and m.user_id = s.user_id)
    order by thread_id, user_id, tab
    on conflict (org_id, thread_id, user_id, tab) do update set expires_at = excluded.expires_at
      where presence.connection_id = excluded.connection_id`;
  await tx.exec`delete from presence where org_id = ${orgId} and expires_at < now() - interval '1 minute'`;
}

/** The connection broke: its tab is shown a little longer, because most clients come back at once. */
export async function lingerTabs(tx: Tx, orgId: string, connectionIds: string[]): Promise<void> {
  await tx.exec`
    update presence set typing_until = null, expires_at = least(expires_at, now() + make_interval(secs => ${LINGER_MS / 1000}::float8))
    where org_id = ${orgId} and connection_id = any(${connectionIds}::text[])`;
}

/** The person closed the tab. */
export async function leaveTab(tx: Tx, orgId: string, seat: Seat): Promise<void> {
  await tx.exec`
    delete from presence
    where org_id = ${orgId} and thread_id = ${seat.threadId} and user_id = ${seat.userId} and tab = ${seat.tab}
      and connection_id = ${seat.connectionId}`;
}

export async function setTyping(tx: Tx, orgId: string, seat: Seat, isTyping: boolean): Promise<void> {
  await tx.exec`
    update presence
    set typing_until = case when ${isTyping}::boolean then now() + make_interval(secs => ${TYPING_MS / 1000}::float8) end
    where org_id = ${orgId} and thread_id = ${seat.threadId} and user_id = ${seat.userId} and tab = ${seat.tab}
      and connection_id = ${seat.connectionId}`;
}

/** Who is here, in some threads. */
export async function readPresence(tx: Tx, orgId: string, threadIds: string[]): Promise<PresenceRow[]> {
  return tx.queryAll<PresenceRow>`
    select p.thread_id, p.user_id, u.name, p.tab, p.since,
      case when p.typing_until > now() then ceil(extract(epoch from p.typing_until - now()) * 1000)::int end as typing_ms
    from presence p join users u on (u.org_id, u.id) = (p.org_id, p.user_id)
    where p.org_id = ${orgId} and p.thread_id = any(${threadIds}::text[]) and p.expires_at > now()
    order by p.thread_id, p.since, p.tab limit ${TABS_SHOWN_MAX * threadIds.length}`;
}
