/** One try of a request, as a connector sends it. */
export interface Exchange {
  readonly method: string;
  /** The path with its query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Aborting closes the connection, also while the answer's body is read. */
  readonly signal: AbortSignal;
}

/** The head of an answer, and its body as it comes. */
export interface Answer {
  readonly status: number;
  header(name: string): string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Carries requests to one daemon. */
export interface Connector {
  /** Rejects with a {@link Broken}, or with the signal's reason. */
  send(exchange: Exchange): Promise<Answer>;
  /** Closes idle connections, where that can be told. */
  close(): void;
}

/** A connection could not be made, or broke. */
export class Broken extends Error {
  /** False when the daemon can't have seen the request. */
  readonly sent: boolean;
  /** The system's word, such as `ECONNREFUSED`. */
  readonly code: string;

  constructor(cause: unknown, sent: boolean | undefined) {
    const code = codeOf(cause);
    super(reason(cause, code), { cause });
    this.name = "Broken";
    this.code = code;
    this.sent = sent ?? !UNSENT.has(code);
  }
}

/** Failures of making a connection. */
const UNSENT = new Set([
  "EACCES",
  "EPERM",
  "EAI_AGAIN",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
  "ENOTFOUND",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Words of HTTP parsers for bytes that are no HTTP. */
export function isNotHttp(code: string): boolean {
  return code.startsWith("HPE_") || code === "UND_ERR_INVALID_HTTP" || code === "UND_ERR_HTTP_PARSER";
}

function codeOf(cause: unknown): string {
  // fetch wraps what happened, the resolver's tries for several addresses too.
  for (let error = cause; error instanceof Error; error = error.cause) {
    if ("code" in error && typeof error.code === "string") return error.code;
  }
  return "";
}

function reason(cause: unknown, code: string): string {
  let message = code;
  for (let error = cause; error instanceof Error; error = error.cause) message = error.message || message;
  return message || String(cause);
}
