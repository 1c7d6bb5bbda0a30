/** What a {@link TCIError} is told about a refusal. */
export interface ErrorDetails {
  /** HTTP status; 0 (the default) when there was no answer. */
  status?: number | undefined;
  /** The daemon's word for what went wrong. */
  code?: string | null | undefined;
  /** The field at fault. */
  param?: string | null | undefined;
  /** Names the request in the daemon's log. */
  requestId?: string | null | undefined;
  /** Seconds after which the daemon wants to be asked again. */
  retryAfter?: number | null | undefined;
  /** The error that led to this one. */
  cause?: unknown;
}

/**
 * A request was refused or failed. All errors of the SDK are of this class, but
 * for `TypeError` and `RangeError`, which wrong arguments get before anything is
 * sent, and the reason of an `AbortSignal`. User code that fails throws none.
 */
export class TCIError extends Error {
  /** HTTP status, or 0 when there was no answer. */
  readonly status: number;
  /** What went wrong, such as `"session_not_found"`, or null. */
  readonly code: string | null;
  /** The field at fault, or null. */
  readonly param: string | null;
  /** Names the request in the daemon's log, or null. */
  readonly requestId: string | null;
  /** Seconds after which it makes sense to try again, where the daemon tells, or null. */
  readonly retryAfter: number | null;

  /** Makes an error; `details` default to those of a request without an answer. */
  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.status = details.status ?? 0;
    this.code = details.code ?? null;
    this.param = details.param ?? null;
    this.requestId = details.requestId ?? null;
    this.retryAfter = details.retryAfter ?? null;
  }
}

/** The request is wrong; `param` names the field where one is at fault. */
export class InvalidRequestError extends TCIError {}

/** The API key is missing or wrong, or the caller may not do this. */
export class AuthenticationError extends TCIError {}

/** An execution or image does not exist. */
export class NotFoundError extends TCIError {}

/** The session does not exist, has ended, or is somebody else's. */
export class SessionNotFound extends NotFoundError {}

/** The session has no such file. */
export class RemoteFileNotFound extends TCIError {}

/** Not possible in the present state, such as overwriting where that was forbidden. */
export class ConflictError extends TCIError {}

/** No capacity now, also after the SDK's own tries; nothing was started. */
export class CapacityError extends TCIError {
  /** Seconds after which it makes sense to try again. */
  declare readonly retryAfter: number;

  /** Makes an error; `retryAfter` is 1 second where the daemon names none. */
  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { ...details, retryAfter: details.retryAfter ?? 1 });
  }
}

/** The events of an execution are no longer kept; the execution itself still may be. */
export class EventsGone extends TCIError {}

/** The daemon or its host failed; nothing is said about the code. */
export class InfraError extends TCIError {}

/**
 * A stream of events broke and could not be taken up again. The execution may have
 * gone on: `client.executions.get(error.executionId)` tells.
 */
export class StreamBroken extends InfraError {
  /** The execution. */
  readonly executionId: string;
  /** The number of the last event that arrived; 0: none. */
  readonly seq: number;

  /** Makes an error about a stream. */
  constructor(message: string, executionId: string, seq: number, details: ErrorDetails = {}) {
    super(message, details);
    this.executionId = executionId;
    this.seq = seq;
  }
}

/** The daemon can't be reached, or the connection broke. */
export class ConnectionFailed extends TCIError {
  /** Whether the daemon may have got the request. */
  readonly sent: boolean;
  /** The execution that the request had started, where the daemon had told its id by then, or null. */
  readonly executionId: string | null;

  /** Makes an error; without `details` the request may have arrived. */
  constructor(
    message: string,
    details: ErrorDetails & { sent?: boolean | undefined; executionId?: string | null | undefined } = {},
  ) {
    super(message, details);
    this.sent = details.sent ?? true;
    this.executionId = details.executionId ?? null;
  }
}

/** Thrown by `Execution.raiseForError` only. */
export class ExecutionError extends TCIError {}

type ErrorClass = new (message: string, details: ErrorDetails) => TCIError;

const BY_CODE: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ["session_not_found", SessionNotFound],
  ["file_not_found", RemoteFileNotFound],
  ["image_not_found", NotFoundError],
  ["execution_not_found", NotFoundError],
]);

/** The error for an answer outside 2xx. */
export function errorFor(message: string, details: ErrorDetails & { status: number }): TCIError {
  const { status, code } = details;
  let kind = code == null ? undefined : BY_CODE.get(code);
  if (kind === undefined) {
    if (status === 401 || status === 403 || status === 421) kind = AuthenticationError;
    else if (status === 404) kind = NotFoundError;
    else if (status === 410) kind = EventsGone;
    else if (status === 409 || status === 412) kind = ConflictError;
    else if (status === 429 || status === 503) kind = CapacityError;
    else if (status >= 500 && status !== 507) kind = InfraError;
    else kind = InvalidRequestError;
  }
  return new kind(message, details);
}
