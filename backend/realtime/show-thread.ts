import type { Cursor } from "../lib/cursor";
import { encodeOnce } from "../threads/live/encode-once";
import { readFrom } from "../threads/live/read";
import { ThreadReader } from "../threads/live/reader";
import type { Member } from "./member";

/** About how long an event is on the wire, counted once for all who are given it. */
const charsOf = encodeOnce(({ event }) => JSON.stringify(event).length);

/** Shows a member the thread from its cursor on, until its connection ends; ends it itself where there is no more to show. */
export async function showThread(member: Member, from: Cursor | null): Promise<void> {
  const { who, threadId, connection } = member;
  const reader = new ThreadReader({
    deliver(delivery) {
      const { event, cursor, seq } = delivery;
      member.seq = event.type === "caught_up" ? event.last_seq : (seq ?? member.seq);
      connection.send({ type: "event", cursor, event }, charsOf(delivery));
      connection.standAt(cursor);
    },
    unread: () => connection.unread,
    ended(why) {
      if (why === "slow") connection.bye("slow_reader");
      // A guest sees no difference between a thread that is gone and one that they left.
      else if (why === "erased") connection.bye(who.role === "guest" ? "not_in_thread" : "thread_erased");
      else if (why === "lost") connection.bye("stream_failed"); // a hole in what the channel was told: the log has it
    },
  });
  void connection.ended.then(() => reader.leave());
  await readFrom(reader, { who, threadId, from });
}
