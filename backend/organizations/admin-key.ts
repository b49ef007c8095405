import { type APIError, ErrCode } from "encore.dev/api";
import { problem } from "../lib/errors";

/** The header X-Admin-Key is not the server's. */
export function wrongAdminKey(): APIError {
  return problem(
    ErrCode.PermissionDenied,
    "wrong_admin_key",
    "The admin key is not right.",
    "Send the server's AdminKey secret as the header X-Admin-Key.",
  );
}
