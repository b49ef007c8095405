import { type APIError, api } from "encore.dev/api";
import log from "encore.dev/log";
import type { Max, MaxLen, Min, MinLen } from "encore.dev/validate";
import { seenBy, tenant } from "../db/tenant";
import { embeddingsConfigured, toVector } from "../lib/embeddings";
import { invalid } from "../lib/errors";
import type { Message } from "../lib/events";
import { whole } from "../lib/whole";
import { embedTexts } from "../models/requests/embed";
import { caller } from "../organizations/caller";
import { reserve } from "../usage/reserve";
import { nearestTo } from "./nearest";

const RESULTS_DEFAULT = 20;
/** The words alone must do when the embeddings endpoint takes longer. */
const EMBED_MS_MAX = 1_500;
/** How many each of the two searches contributes before they are merged. */
const CANDIDATES = 60;
/** The usual constant of reciprocal rank fusion. */
const FUSION_K = 60;

interface SearchRequest {
  /** Words as in a web search: "quoted phrases", OR, and -words left out. */
  q: string & (MinLen<1> & MaxLen<1000>);
  limit?: number & (Min<1> & Max<100>);
  /** Only this thread. */
  thread_id?: string & MaxLen<64>;
}

interface SearchResult {
  message: Message;
  thread_title: string | null;
  /** Reciprocal rank fusion of both searches: comparable within one answer only. */
  score: number;
  /** It is no longer part of its thread's conversation: it can be read with its branch. */
  rewound: boolean;
  /** What found it. */
  found_by: ("words" | "meaning")[];
}

interface SearchResponse {
  results: SearchResult[];
  /** False when meaning could not be searched and words alone were. */
  semantic: boolean;
}

type Row = Omit<Message, "created_at"> & {
  created_at: Date;
  thread_title: string | null;
  score: number;
  rewound: boolean;
  words: boolean;
  meaning: boolean;
};

/** Searches the organization's messages, by words and by meaning together. */
export const search = api(
  { expose: true, auth: true, method: "GET", path: "/search" },
  async ({ q, limit = RESULTS_DEFAULT, thread_id }: SearchRequest): Promise<SearchResponse> => {
    const who = caller();
    const { orgID, userID: userId, keyID: keyId } = who;
    whole("limit", limit);
    if (embeddingsConfigured()) {
      const request = { orgId: orgID, userId, keyId, threadId: thread_id ?? null, requests: 1 as const };
      await tenant(orgID, (tx) => reserve(tx, { ...request, turns: [] }, true));
    }
    const vector = await vectorOf(orgID, q);
    const rows = await seenBy(who, async (tx) => {
      const query = await tx.queryRow<{ only_negations: boolean }>`
        select numnode(q) > 0 and querytree(q) = 'T' as only_negations from websearch_to_tsquery('simple', ${q}) q`;
      if (query?.only_negations) throw onlyNegations();
      const nearest = vector === null ? [] : await nearestTo(tx, orgID, thread_id ?? null, vector, CANDIDATES);
      return tx.queryAll<Row>`
        with words as (
          select id, rank from search_words_seen(websearch_to_tsquery('simple', ${q}), ${thread_id ?? null}::text, ${CANDIDATES}::int)
        ), meaning as (
          select id, rank from unnest(${nearest}::text[]) with ordinality n(id, rank)
        ), fused as (
          select id, coalesce(1.0 / (${FUSION_K}::int + words.rank), 0) + coalesce(1.0 / (${FUSION_K}::int + meaning.rank), 0) as score,
            words.rank is not null as words, meaning.rank is not null as meaning
          from words full join meaning using (id)
          order by score desc, id desc limit ${limit}
        )
        select m.id, m.thread_id, m.seq, m.sender_type, m.sender_id, m.sender_name, m.content, m.status, m.turn_id, m.mentions, m.reason,
          m.branch, m.origin, m.created_at, coalesce(not b.visible @> m.seq, false) as rewound,
          t.title as thread_title, f.score::float8 as score, f.words, f.meaning
        from fused f
          cross join lateral (select * from messages where org_id = ${orgID} and id = f.id limit 1) m
          cross join lateral (select title, branch from threads where org_id = ${orgID} and id = m.thread_id limit 1) t
          left join lateral (
            select visible from thread_branches where org_id = ${orgID} and thread_id = m.thread_id and branch = t.branch limit 1) b on true
        order by f.score desc, m.id desc`;
    });
    return { semantic: vector !== null, results: rows.map(toResult) };
  },
);

/** No index finds what a message does not say: the search would read and rank every message of the organization. */
function onlyNegations(): APIError {
  return invalid(
    "bad_query",
    "q: it only leaves words out, or does so on one side of an OR.",
    "Name a word to find as well.",
  );
}

function toResult({ thread_title, score, rewound, words, meaning, created_at, ...message }: Row): SearchResult {
  const found_by: SearchResult["found_by"] = [];
  if (words) found_by.push("words");
  if (meaning) found_by.push("meaning");
  return { message: { ...message, created_at: created_at.toISOString() }, thread_title, score, rewound, found_by };
}

async function vectorOf(orgId: string, q: string): Promise<string | null> {
  if (!embeddingsConfigured()) return null;
  try {
    const [embedding] = await embedTexts(orgId, [q], EMBED_MS_MAX);
    return embedding ? toVector(embedding) : null;
  } catch (error) {
    log.warn("searching by words alone: the query could not be embedded", { error: String(error) });
    return null;
  }
}
