import { defaultBaseUrl } from "./address.js";
import { asyncDispose } from "./dispose.js";
import { Executions } from "./executions.js";
import { Files } from "./files.js";
import type { Execution } from "./models.js";
import { count, encodeOptions, seconds, string, text, word } from "./options.js";
import { DEFAULT_MAX_RETRIES } from "./retry.js";
import { Sessions } from "./sessions.js";
import type { CallOptions, RunOnceParams, StreamOnceParams } from "./specs.js";
import type { ExecutionStream } from "./stream.js";
import { DEFAULT_TIMEOUT, Transport } from "./transport.js";
import { Wire } from "./wire.js";

/** What a client is made from. Every field may be left out. */
export interface ClientOptions {
  /**
   * Needed for TCP; `$TCI_API_KEY` by default. On the Unix socket the daemon knows
   * its callers by their user id and ignores it.
   */
  apiKey?: string | undefined;
  /**
   * `unix:///path/to/tcid.sock`, `http://host:port` or `https://host`; by default
   * `$TCI_BASE_URL`, else the system's socket, else the user's, else
   * `http://127.0.0.1:8787`.
   */
  baseUrl?: string | undefined;
  /**
   * Seconds to connect and to wait for short answers; 30 by default. How long code
   * may run is the `timeout` of each run.
   */
  timeout?: number | undefined;
  /** How many times a request is sent again, where that is safe; 5 by default. */
  maxRetries?: number | undefined;
}

/** An image that sessions can be made from. */
export interface Image {
  /** The name. */
  readonly name: string;
  /** The SHA-256 of the content, in hexadecimal. */
  readonly digest: string;
  /** Python's version. */
  readonly python: string;
  /** The installed packages. */
  readonly packages: readonly string[];
  /** The modules that are imported ahead. */
  readonly preload: readonly string[];
  /** Whether sessions that name no image get this one. */
  readonly default: boolean;
}

/** A client of one daemon. */
export class TCIClient {
  /** Sessions: made, found, changed and closed. */
  readonly sessions: Sessions;
  /** Code that is run. */
  readonly executions: Executions;
  /** Files of sessions. */
  readonly files: Files;
  readonly #transport: Transport;

  /** Makes a client; nothing is sent. Throws a TypeError or RangeError for options that are wrong. */
  constructor(options: ClientOptions = {}) {
    const known = encodeOptions(options, {
      apiKey: ["apiKey", string],
      baseUrl: ["baseUrl", text],
      timeout: ["timeout", seconds],
      maxRetries: ["maxRetries", count],
    });
    const timeout = (known["timeout"] ?? DEFAULT_TIMEOUT) as number;
    if (timeout === 0) throw new RangeError("timeout must be above 0");
    const apiKey = known["apiKey"] ?? process.env["TCI_API_KEY"];
    this.#transport = new Transport({
      baseUrl: (known["baseUrl"] ?? defaultBaseUrl()) as string,
      apiKey: apiKey ? word("apiKey", apiKey) : undefined,
      timeout,
      maxRetries: (known["maxRetries"] ?? DEFAULT_MAX_RETRIES) as number,
    });
    this.executions = new Executions(this.#transport);
    this.files = new Files(this.#transport);
    this.sessions = new Sessions(this.#transport, this.executions, this.files);
  }

  /** Where the daemon is. */
  get baseUrl(): string {
    return this.#transport.baseUrl;
  }

  /** Runs code in a session that is made for it and closed after it. */
  run(params: RunOnceParams): Promise<Execution> {
    return this.executions.runOnce(params);
  }

  /** As `run`, giving the events as they come. */
  stream(params: StreamOnceParams): ExecutionStream {
    return this.executions.streamOnce(params);
  }

  /** As `run`, but returns at once; see `executions.start`. */
  start(params: RunOnceParams): Promise<Execution> {
    return this.executions.startOnce(params);
  }

  /** The daemon's version, what it enforces, and its limits, as the API describes them. */
  async version(options: CallOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    return new Wire(await this.#get("/v1/version", options), "a version").raw;
  }

  /** The images that sessions can be made from. */
  async images(options: CallOptions = {}): Promise<Image[]> {
    const images = new Wire(await this.#get("/v1/images", options), "a list of images").objects("data");
    return images.map((wire) => ({
      name: wire.string("name"),
      digest: wire.string("digest"),
      python: wire.string("python"),
      packages: wire.strings("packages"),
      preload: wire.strings("preload"),
      default: wire.boolean("default"),
    }));
  }

  /** Closes idle connections; sessions stay, and the client can be used further. */
  close(): void {
    this.#transport.close();
  }

  /** Closes idle connections, for `await using`. */
  [asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #get(path: string, options: CallOptions): Promise<unknown> {
    return this.#transport.json({ method: "GET", path, signal: options.signal });
  }
}

let shared: TCIClient | undefined;

/**
 * Runs code in a session of its own, on the daemon that the environment names:
 * `TCIClient.run` of a client that is made from no options and kept.
 */
export async function run(params: RunOnceParams): Promise<Execution> {
  shared ??= new TCIClient();
  return shared.run(params);
}
