import { api } from "encore.dev/api";
import type { Max, MaxLen, Min } from "encore.dev/validate";
import { tenantPage } from "../db/tenant";
import { whole } from "../lib/whole";
import { caller } from "../organizations/caller";
import { type LimitView, limitViews } from "./limit-view";

const PAGE_DEFAULT = 50;

interface ListLimitsRequest {
  limit?: number & (Min<1> & Max<200>);
  /** `next_cursor` of the page before. */
  cursor?: string & MaxLen<100>;
}

interface ListLimitsResponse {
  limits: LimitView[];
  /** Null on the last page. */
  next_cursor: string | null;
}

/** The organization's limits and how they stand: what is left of each, and until when. */
export const listLimits = api(
  { expose: true, auth: true, method: "GET", path: "/limits" },
  async ({ limit = PAGE_DEFAULT, cursor = "" }: ListLimitsRequest): Promise<ListLimitsResponse> => {
    const { orgID } = caller();
    whole("limit", limit);
    const [scope = "", scopeId = ""] = cursor.split("/");
    const views = await tenantPage(orgID, (tx) => limitViews(tx, orgID, { after: [scope, scopeId], count: limit + 1 }));
    const limits = views.slice(0, limit);
    const last = limits.at(-1);
    return { limits, next_cursor: views.length > limit && last ? `${last.scope}/${last.scope_id}` : null };
  },
);
