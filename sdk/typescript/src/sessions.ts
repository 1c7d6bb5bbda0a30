import { idSegment } from "./address.js";
import { SessionNotFound } from "./errors.js";
import { keyOf, type Executions } from "./executions.js";
import type { Files } from "./files.js";
import { count, string, strings, text } from "./options.js";
import { Session, type CompleteOptions, type Completions, type IsComplete } from "./session.js";
import { sessionBody, updateBody } from "./specs.js";
import type { CallOptions, CreateOptions, KeyedOptions, UpdateOptions } from "./specs.js";
import { SESSION_WAIT, type Call, type Transport } from "./transport.js";
import { Wire } from "./wire.js";

/** Options of `sessions.list`. */
export interface ListSessionsOptions extends CallOptions {
  /** Only sessions in this state. */
  state?: "ready" | "busy" | undefined;
  /** Only sessions with these labels. */
  metadata?: Readonly<Record<string, string>> | undefined;
}

/** `client.sessions`. */
export class Sessions {
  readonly #transport: Transport;
  readonly #executions: Executions;
  readonly #files: Files;

  /** @internal */
  constructor(transport: Transport, executions: Executions, files: Files) {
    this.#transport = transport;
    this.#executions = executions;
    this.#files = files;
  }

  /**
   * Makes a session and returns it once it is ready. Throws an InvalidRequestError
   * (an option is wrong) or a CapacityError (there is no room now). Aborted by its
   * signal, it may have been made: it ends by its `idleTimeout`.
   */
  async create(options: CreateOptions = {}): Promise<Session> {
    const json = { language: "python", ...sessionBody(options) };
    const key = keyOf(options.idempotencyKey);
    return this.#session({
      method: "POST",
      path: "/v1/sessions",
      json,
      key,
      wait: SESSION_WAIT,
      signal: options.signal,
    });
  }

  /** Finds a live session. Throws a SessionNotFound. */
  async get(sessionId: string, options: CallOptions = {}): Promise<Session> {
    return this.#session({ method: "GET", path: sessionPath(sessionId), signal: options.signal });
  }

  /** Lists live sessions, the oldest first. */
  async list(options: ListSessionsOptions = {}): Promise<Session[]> {
    const query = labels(options.metadata ?? {});
    if (options.state !== undefined) query["state"] = text("state", options.state);
    const found: Session[] = [];
    for (;;) {
      const call: Call = { method: "GET", path: "/v1/sessions", query: { ...query }, signal: options.signal };
      const page = new Wire(await this.#transport.json(call), "a list of sessions");
      found.push(...page.objects("data").map((wire) => this.#made(wire)));
      const next = page.optional("next", "string");
      if (next === null) return found;
      query["after"] = next;
    }
  }

  /** Changes when a live session ends, or its labels. */
  async update(sessionId: string, options: UpdateOptions): Promise<Session> {
    const json = updateBody(options);
    return this.#session({ method: "PATCH", path: sessionPath(sessionId), json, signal: options.signal });
  }

  /**
   * Ends a session and waits until nothing of it is left. Returns true, also for one
   * that has ended already or never was.
   */
  async close(sessionId: string, options: CallOptions = {}): Promise<true> {
    const path = sessionPath(sessionId);
    try {
      await this.#transport.json({ method: "DELETE", path, wait: SESSION_WAIT, signal: options.signal });
    } catch (error) {
      if (!(error instanceof SessionNotFound)) throw error;
    }
    return true;
  }

  /** Ends all sessions with these labels, at least one, and returns their number. */
  async closeAll(metadata: Readonly<Record<string, string>>, options: CallOptions = {}): Promise<number> {
    const query = labels(metadata);
    if (Object.keys(query).length === 0)
      throw new RangeError("closeAll needs at least one label in metadata");
    const { signal } = options;
    // Sent again, it would tell how many were left to close.
    const call: Call = {
      method: "DELETE",
      path: "/v1/sessions",
      query,
      wait: SESSION_WAIT,
      again: false,
      signal,
    };
    return new Wire(await this.#transport.json(call), "a number of sessions").number("closed");
  }

  /** Sends SIGINT to what runs in a session; variables are kept. */
  async interrupt(sessionId: string, options: CallOptions = {}): Promise<Session> {
    const path = `${sessionPath(sessionId)}/interrupt`;
    // A second one could hit the next execution.
    return this.#session({ method: "POST", path, again: false, signal: options.signal });
  }

  /** Gives a session a new interpreter; files are kept, variables are not. */
  async restart(sessionId: string, options: KeyedOptions = {}): Promise<Session> {
    const path = `${sessionPath(sessionId)}/restart`;
    const key = keyOf(options.idempotencyKey);
    return this.#session({ method: "POST", path, key, wait: SESSION_WAIT, signal: options.signal });
  }

  /**
   * What could stand at a place in code, as the tabulator key tells in a notebook.
   * Throws a ConflictError while code runs in the session.
   */
  async complete(sessionId: string, code: string, options: CompleteOptions = {}): Promise<Completions> {
    const json: Record<string, unknown> = { code: string("code", code) };
    if (options.cursor !== undefined) json["cursor"] = count("cursor", options.cursor);
    const path = `${sessionPath(sessionId)}/complete`;
    const answer = await this.#transport.json({ method: "POST", path, json, signal: options.signal });
    const wire = new Wire(answer, "a list of completions");
    return { matches: wire.strings("matches"), start: wire.number("start"), end: wire.number("end") };
  }

  /** Whether code could be run as it is. Throws a ConflictError while code runs in the session. */
  async isComplete(sessionId: string, code: string, options: CallOptions = {}): Promise<IsComplete> {
    const path = `${sessionPath(sessionId)}/is_complete`;
    const json = { code: string("code", code) };
    const wire = new Wire(
      await this.#transport.json({ method: "POST", path, json, signal: options.signal }),
      "a verdict",
    );
    return { status: wire.string("status") as IsComplete["status"], indent: wire.string("indent") };
  }

  async #session(call: Call): Promise<Session> {
    return this.#made(new Wire(await this.#transport.json(call), "a session"));
  }

  #made(wire: Wire): Session {
    return new Session(wire, this, this.#executions, this.#files);
  }
}

function sessionPath(sessionId: string): string {
  return `/v1/sessions/${idSegment("sessionId", sessionId)}`;
}

function labels(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(strings("metadata", metadata));
  return Object.fromEntries(entries.map(([key, value]) => [`metadata.${key}`, value]));
}
