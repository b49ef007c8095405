/** A refusal in OpenAI's error form: `{error: {message, type, param, code}}`. */
export class ModelError extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
    message: string,
    readonly code: string | null = null,
    readonly param: string | null = null,
  ) {
    super(message);
  }

  body(): object {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

export function invalidRequest(message: string, param: string | null = null): ModelError {
  return new ModelError(400, "invalid_request_error", message, null, param);
}

/** As OpenAI says it. */
export function contextTooLong(windowTokens: number, promptTokens: number): ModelError {
  const message = `This model's maximum context length is ${windowTokens} tokens. However, your messages resulted in ${promptTokens} tokens.`;
  return new ModelError(400, "invalid_request_error", message, "context_length_exceeded", "messages");
}

const ERROR_TYPES: Record<number, [type: string, code: string]> = {
  400: ["invalid_request_error", "invalid_request"],
  401: ["authentication_error", "invalid_api_key"],
  403: ["permission_error", "forbidden"],
  404: ["invalid_request_error", "model_not_found"],
  429: ["rate_limit_error", "rate_limit_exceeded"],
};

/** The failure a model id or an intent asks for, for example `dev-error-429`. */
export function requestedError(status: number): ModelError {
  const [type, code] = ERROR_TYPES[status] ?? ["server_error", "server_error"];
  return new ModelError(status, type, `The development model was asked to answer ${status}, and does.`, code);
}
