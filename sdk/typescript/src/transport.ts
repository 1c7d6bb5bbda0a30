import { parseBaseUrl } from "./address.js";
import { FetchConnector } from "./connect-tcp.js";
import { UnixConnector } from "./connect-unix.js";
import { ConnectionFailed, errorFor, InfraError, TCIError } from "./errors.js";
import { Broken, isNotHttp, type Answer, type Connector } from "./exchange.js";
import { encodeJson, isRecord, wellFormed } from "./options.js";
import { mayRetry, parseRetryAfter, pause, Retries } from "./retry.js";
import { version } from "./version.js";
import { Watch } from "./watch.js";

/** Seconds to connect, and to wait for short answers. */
export const DEFAULT_TIMEOUT = 30;
/** The daemon sends a sign of life every 10 seconds while code runs. */
export const HEARTBEAT_TIMEOUT = 60;
/** Seconds for the start or the end of a session, which take long on a busy host. */
export const SESSION_WAIT = 120;
/** Seconds before a stream counts as broken, which has a sign of life every 5. */
export const STREAM_TIMEOUT = 30;
/** Bytes of an answer in JSON, and of one event. */
export const MAX_JSON_BYTES = 256 * 1024 * 1024;
/** Bytes of the answer to a refused request that are looked at. */
const MAX_REFUSAL_BYTES = 1024 * 1024;

/** A request. */
export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is; each call of a function starts anew. */
  readonly body?: Uint8Array | (() => AsyncIterable<Uint8Array>) | undefined;
  /** Seconds of silence that are fine, when those are more than usual. */
  readonly wait?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The Idempotency-Key of a request that makes something. */
  readonly key?: string | undefined;
  /** False when it must not be sent again once the daemon may have carried it out. */
  readonly again?: boolean | undefined;
}

/** An answer in 2xx whose body is still to come. */
export interface Opened extends Answer {
  /** Ends the request; what of the body has not been read is not. */
  readonly close: () => void;
}

/** What a transport is made from. */
export interface TransportOptions {
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly timeout: number;
  readonly maxRetries: number;
  /** Bytes of an answer in JSON, and of one event. */
  readonly maxJsonBytes?: number;
}

/** Sends requests, and sends them again where that is safe. */
export class Transport {
  readonly baseUrl: string;
  readonly maxRetries: number;
  readonly maxJsonBytes: number;
  readonly #apiKey: string | undefined;
  readonly #timeout: number;
  readonly #connector: Connector;
  #reached = false;

  constructor(options: TransportOptions) {
    this.baseUrl = options.baseUrl;
    this.maxRetries = options.maxRetries;
    this.maxJsonBytes = options.maxJsonBytes ?? MAX_JSON_BYTES;
    this.#apiKey = options.apiKey;
    this.#timeout = options.timeout;
    const address = parseBaseUrl(options.baseUrl);
    this.#connector =
      address.kind === "unix" ? new UnixConnector(address.socketPath) : new FetchConnector(address.root);
  }

  close(): void {
    this.#connector.close();
  }

  /** Sends a request and returns the answer's JSON; undefined when it is empty. */
  async json(call: Call): Promise<unknown> {
    const text = new TextDecoder().decode(await this.#tries(call, this.maxJsonBytes)).trim();
    if (text === "") return undefined;
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new InfraError("the daemon's answer was cut off or is not JSON", { cause });
    }
  }

  /** Sends a request and returns the answer's bytes. */
  async bytes(call: Call): Promise<Uint8Array> {
    return this.#tries(call, Infinity);
  }

  /** Sends a request until there is an answer, or no sense in another try. */
  async #tries(call: Call, limit: number): Promise<Uint8Array> {
    const retries = new Retries(this.maxRetries, {
      again: call.again ?? true,
      keyed: call.key !== undefined,
    });
    for (;;) {
      try {
        const opened = await this.open(call);
        try {
          return await whole(opened.body, limit);
        } catch (problem) {
          opened.close();
          throw problem;
        }
      } catch (problem) {
        // To listen on is better than to ask again for what runs.
        if (problem instanceof ConnectionFailed && problem.executionId !== null) throw problem;
        const wait = problem instanceof TCIError ? retries.pause(problem) : undefined;
        if (wait === undefined) throw problem;
        await pause(wait, call.signal);
      }
    }
  }

  /** Sends a request once and returns when the head of its answer is there. */
  async open(call: Call): Promise<Opened> {
    call.signal?.throwIfAborted();
    const { body } = call;
    const encoded = call.json === undefined ? undefined : encodeJson(call.json);
    const watch = new Watch(Math.max(this.#timeout, call.wait ?? 0), call.signal);
    try {
      const answer = await this.#connector.send({
        method: call.method,
        target: call.path + queryString(call.query),
        headers: this.#headers(call),
        body: encoded ?? (typeof body === "function" ? watch.feed(body()) : body),
        signal: watch.signal,
      });
      this.#reached = true;
      const arriving = this.#arriving(answer, watch);
      if (answer.status < 200 || answer.status >= 300) {
        const refusal = await whole(arriving, MAX_REFUSAL_BYTES).catch(() => new Uint8Array());
        watch.abort();
        throw refused(answer, refusal);
      }
      const header = (name: string): string | undefined => answer.header(name);
      const close = (): void => {
        watch.abort();
      };
      return { status: answer.status, header, body: arriving, close };
    } catch (problem) {
      watch.stop();
      throw this.#explain(problem, watch);
    }
  }

  async *#arriving(answer: Answer, watch: Watch): AsyncGenerator<Uint8Array> {
    try {
      yield* watch.over(answer.body);
    } catch (problem) {
      throw this.#explain(problem, watch, answer.header("X-Execution-Id"));
    } finally {
      watch.stop();
    }
  }

  #headers(call: Call): Record<string, string> {
    const headers: Record<string, string> = {
      Accept: "*/*",
      "User-Agent": `tci-sdk-typescript/${version}`,
      ...call.headers,
    };
    if (call.json !== undefined) headers["Content-Type"] = "application/json";
    if (this.#apiKey) headers["Authorization"] = `Bearer ${this.#apiKey}`;
    if (call.key !== undefined) headers["Idempotency-Key"] = call.key;
    return headers;
  }

  /** The SDK's error for a try that failed, or the signal's reason. */
  #explain(problem: unknown, watch: Watch, executionId?: string): unknown {
    if (watch.silent) {
      const message = `the daemon at ${this.baseUrl} did not answer in time`;
      const error = new ConnectionFailed(message, { executionId });
      // What runs can be listened to again, which costs nothing.
      return executionId === undefined ? error : mayRetry(error);
    }
    if (!(problem instanceof Broken)) return problem;
    const { code, sent, cause } = problem;
    if (code === "EACCES" || code === "EPERM") {
      const message = `you may not use the daemon at ${this.baseUrl}: be root or a member of its group (tcid)`;
      return new ConnectionFailed(message, { cause, sent });
    }
    if (isNotHttp(code)) {
      const message = `the daemon's answer is not HTTP: ${problem.message}`;
      return new ConnectionFailed(message, { cause, sent, executionId });
    }
    const message = sent
      ? `the connection to the daemon broke: ${problem.message}`
      : `there is no daemon at ${this.baseUrl} (${problem.message}); start one with: tcid serve`;
    const error = new ConnectionFailed(message, { cause, sent, executionId });
    // Where no daemon has ever answered, there is none to wait for.
    return sent || this.#reached ? mayRetry(error) : error;
  }
}

/** Wrong keys that came too often: the same key is as wrong later. */
const POINTLESS = "too_many_failures";

function refused(answer: Answer, body: Uint8Array): TCIError {
  let message = `the daemon answered with HTTP status ${String(answer.status)}`;
  let code: string | null = null;
  let param: string | null = null;
  try {
    const wire: unknown = JSON.parse(new TextDecoder().decode(body));
    if (isRecord(wire) && isRecord(wire["error"]) && typeof wire["error"]["message"] === "string") {
      message = wire["error"]["message"];
      code = stringOrNull(wire["error"]["code"]);
      param = stringOrNull(wire["error"]["param"]);
    }
  } catch {
    // Something between here and the daemon answers, with words of its own.
  }
  const { status } = answer;
  const retryAfter = parseRetryAfter(answer.header("Retry-After"));
  const requestId = answer.header("X-Request-Id");
  const error = errorFor(message, { status, code, param, requestId, retryAfter });
  const obeyed = answer.header("X-Should-Retry")?.toLowerCase() !== "false";
  const busy = (status === 429 || status === 503) && retryAfter !== undefined;
  return busy && obeyed && code !== POINTLESS ? mayRetry(error) : error;
}

function stringOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function queryString(query: Readonly<Record<string, string>> | undefined): string {
  const text = new URLSearchParams(query ?? {}).toString();
  for (const part of Object.entries(query ?? {}).flat()) wellFormed(part);
  return text === "" ? "" : `?${text}`;
}

/** All bytes of a body, which must not be more than the limit. */
async function whole(body: AsyncIterable<Uint8Array>, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > limit) throw new InfraError(`the daemon's answer has more than ${String(limit)} bytes`);
    chunks.push(chunk);
  }
  if (chunks.length === 1 && chunks[0] !== undefined) return chunks[0];
  const joined = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.byteLength;
  }
  return joined;
}
