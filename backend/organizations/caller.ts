import { ErrCode } from "encore.dev/api";
import { getAuthData } from "~encore/auth";
import { problem } from "../lib/errors";
import type { Caller } from "./authenticate";

/** Who is calling, in an endpoint with `auth: true`. */
export function caller(): Caller {
  const data = getAuthData();
  if (!data) throw new Error("an endpoint that asks for its caller needs auth: true");
  return data;
}

/** The caller, refused where it is a guest; `refusal` is the sentence that says so. */
export function memberCaller(refusal: string): Caller {
  const who = caller();
  if (who.role === "guest") {
    throw problem(ErrCode.PermissionDenied, "member_required", refusal, "Ask a member of the organization.", {
      context: null,
    });
  }
  return who;
}

/** The caller, refused unless an owner or admin of the organization. */
export function adminCaller(): Caller {
  const who = caller();
  if (who.role !== "owner" && who.role !== "admin") {
    throw problem(
      ErrCode.PermissionDenied,
      "admin_required",
      "Only an owner or admin of the organization may do this.",
      "Ask an owner or admin, or use one of their API keys.",
    );
  }
  return who;
}
