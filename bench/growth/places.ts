/** What operations are measured on: the databases' sizes, and in each the places of each size. */
import { createOrganization } from "../lib/graphyn";
import type { Api } from "../lib/http";
import type { Phases } from "../lib/phases";
import {
  asClient,
  checkThread,
  fill,
  haveConversation,
  MESSAGES_OF_CONVERSATION,
  makeLonger,
  moreOrganizations,
  moreThreads,
  sayRare,
  untilEmbedded,
} from "./fill";
import { makeWaitingThread, type Place } from "./operations";

export const MESSAGES = [10, 1_000, 100_000];
export const COUNTS = [1, 100, 10_000];
const MODEL = "dev-echo";

/** A database with a Graphyn on it. */
interface Server {
  database: { adminUrl: string; api: Api };
  adminKey: string;
  say: Phases["say"];
}

type Sized = { axis: "messages" | "threads"; size: number; place: Place };

/** One organization with threads of each length, and one for each number of threads. */
export async function fillMain({ database, adminKey, say }: Server): Promise<Sized[]> {
  const long = await createOrganization(database.api, adminKey);
  const sized: Sized[] = [];
  for (const size of MESSAGES) {
    const threadId = await haveConversation(long, MODEL);
    sized.push({ axis: "messages", size, place: { organization: long, threadId, lastSeq: 0 } });
  }
  for (const size of COUNTS) {
    const organization = await createOrganization(database.api, adminKey);
    const threadId = await haveConversation(organization, MODEL);
    sized.push({ axis: "threads", size, place: { organization, threadId, lastSeq: 0 } });
  }
  await fill(database.adminUrl, {
    name: "threads and messages",
    say,
    copy: async (client) => {
      for (const { axis, size, place } of sized) {
        if (axis === "threads") await moreThreads(client, place.organization.id, size);
        else await makeLonger(client, place.organization.id, place.threadId, size / MESSAGES_OF_CONVERSATION);
      }
    },
    check: async (client) => {
      for (const { axis, size, place } of sized)
        await checkThread(client, place.threadId, axis === "messages" ? size : MESSAGES_OF_CONVERSATION);
    },
  });
  await settle(
    database.adminUrl,
    sized.map(({ place }) => place),
  );
  return sized;
}

export async function fillOrganizations({ database, adminKey, say }: Server, size: number): Promise<Place> {
  const organization = await createOrganization(database.api, adminKey);
  const threadId = await haveConversation(organization, MODEL);
  const place: Place = { organization, threadId, lastSeq: 0 };
  await fill(database.adminUrl, {
    name: `${size} organizations`,
    say,
    copy: (client) => moreOrganizations(client, organization.id, size),
    check: (client) => checkThread(client, place.threadId, MESSAGES_OF_CONVERSATION),
  });
  await settle(database.adminUrl, [place]);
  place.waitingThreadId = await makeWaitingThread(organization); // not before: the copies have none
  return place;
}

/** What searches are to find is said and embedded, and it is known where each log ends. */
async function settle(adminUrl: string, places: Place[]): Promise<void> {
  for (const { organization, threadId } of places) await sayRare(organization, threadId);
  await asClient(adminUrl, async (client) => {
    await untilEmbedded(client);
    for (const place of places) {
      const { rows } = await client.query<{ last_seq: string }>("select last_seq from threads where id = $1", [
        place.threadId,
      ]);
      place.lastSeq = Number(rows[0]?.last_seq);
    }
  });
}
