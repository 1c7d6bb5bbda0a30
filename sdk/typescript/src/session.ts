import { asyncDispose } from "./dispose.js";
import type { Executions } from "./executions.js";
import { SessionFiles, type Files } from "./files.js";
import type { Execution } from "./models.js";
import { record } from "./options.js";
import type { Sessions } from "./sessions.js";
import type { CallOptions, KeyedOptions, RunOptions, StreamOptions, UpdateOptions } from "./specs.js";
import type { ExecutionStream } from "./stream.js";
import type { Wire } from "./wire.js";

/** How far a session is; the last three are final. */
export type SessionState = "ready" | "busy" | "closed" | "expired" | "failed";

/** The limits of a session. */
export interface Resources {
  /** MiB of memory of all kinds, files in the workspace included. */
  readonly memoryMb: number | null;
  /** CPU seconds per second. */
  readonly cpus: number | null;
  /** Processes and threads. */
  readonly pids: number | null;
  /** MiB of files in the workspace. */
  readonly diskMb: number | null;
}

/** What is really enforced around a session on the daemon's host. */
export interface Isolation {
  /** How its interpreter starts. */
  readonly start: string;
  /** The namespaces that are new. */
  readonly namespaces: readonly string[];
  /** Whether system calls are filtered. */
  readonly seccomp: boolean;
  /** The host's kind of control groups. */
  readonly cgroup: string;
  /** Which limits bind. */
  readonly limits: readonly string[];
  /** Where interpreters don't start as they should, and why. */
  readonly warnings: readonly string[];
}

/** What could stand in code between two places, in characters (code points). */
export interface Completions {
  /** What could stand there. */
  readonly matches: readonly string[];
  /** The first character that a match would replace. */
  readonly start: number;
  /** The first one behind it. */
  readonly end: number;
}

/** Whether code could be run as it is. */
export interface IsComplete {
  /** `incomplete`: more lines have to follow; `invalid`: none would help. */
  readonly status: "complete" | "incomplete" | "invalid";
  /** What the next line should begin with. */
  readonly indent: string;
}

/** Options of completing code. */
export interface CompleteOptions extends CallOptions {
  /** The place in the code, in characters (code points); left out: its end. */
  cursor?: number | undefined;
}

/** What the daemon told about a session last. */
interface SessionFields {
  readonly language: string;
  readonly state: SessionState;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly lastExecuteAt: string | null;
  readonly executeCount: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly resources: Resources;
  readonly network: { readonly mode: string; readonly allow: readonly string[] };
  readonly isolation: Isolation;
  readonly image: string;
  readonly imageDigest: string;
  readonly idleTimeout: number;
  readonly kernelRestarts: number;
  readonly sandbox: string;
  readonly reason: string | null;
}

/**
 * A session and what can be done with it. `await using session = …` closes it at
 * the end of the block. What it shows is what the daemon told last; `refresh` asks
 * again.
 */
export class Session {
  /** The id. */
  readonly id: string;
  /** Its files. */
  readonly files: SessionFiles;
  readonly #sessions: Sessions;
  readonly #executions: Executions;
  #raw: Readonly<Record<string, unknown>>;
  #fields: SessionFields;

  /** @internal */
  constructor(wire: Wire, sessions: Sessions, executions: Executions, files: Files) {
    this.id = wire.string("id");
    this.files = new SessionFiles(files, this.id);
    this.#sessions = sessions;
    this.#executions = executions;
    this.#raw = wire.raw;
    this.#fields = readFields(wire);
  }

  /** The language of its code. */
  get language(): string {
    return this.#fields.language;
  }

  /** `busy` while executions run or wait. */
  get state(): SessionState {
    return this.#fields.state;
  }

  /** When it was made; RFC 3339 in UTC. */
  get createdAt(): string {
    return this.#fields.createdAt;
  }

  /** When it ends if nothing happens until then; null: not by itself. */
  get expiresAt(): string | null {
    return this.#fields.expiresAt;
  }

  /** When the last execution was sent; null: none yet. */
  get lastExecuteAt(): string | null {
    return this.#fields.lastExecuteAt;
  }

  /** How many executions were sent. */
  get executeCount(): number {
    return this.#fields.executeCount;
  }

  /** Its labels. */
  get metadata(): Readonly<Record<string, string>> {
    return this.#fields.metadata;
  }

  /** Its limits. */
  get resources(): Resources {
    return this.#fields.resources;
  }

  /** What it may reach. */
  get network(): { readonly mode: string; readonly allow: readonly string[] } {
    return this.#fields.network;
  }

  /** What is really enforced around it. */
  get isolation(): Isolation {
    return this.#fields.isolation;
  }

  /** The image's name. */
  get image(): string {
    return this.#fields.image;
  }

  /** The SHA-256 of the image's content, in hexadecimal. */
  get imageDigest(): string {
    return this.#fields.imageDigest;
  }

  /** Seconds after its last use at which it ends; 0: never. */
  get idleTimeout(): number {
    return this.#fields.idleTimeout;
  }

  /** How many times its interpreter was replaced. */
  get kernelRestarts(): number {
    return this.#fields.kernelRestarts;
  }

  /** The name of its cgroup on the host. */
  get sandbox(): string {
    return this.#fields.sandbox;
  }

  /** Why it closed, expired or failed; null: it lives. */
  get reason(): string | null {
    return this.#fields.reason;
  }

  /** The daemon's object. */
  get raw(): Readonly<Record<string, unknown>> {
    return this.#raw;
  }

  /** Runs code here; see `executions.run`. */
  run(code: string, options: RunOptions = {}): Promise<Execution> {
    return this.#executions.run({ ...record("options", options), sessionId: this.id, code });
  }

  /** Runs code here and gives its events; see `executions.stream`. */
  stream(code: string, options: StreamOptions = {}): ExecutionStream {
    return this.#executions.stream({ ...record("options", options), sessionId: this.id, code });
  }

  /** Starts code here and returns at once; see `executions.start`. */
  start(code: string, options: RunOptions = {}): Promise<Execution> {
    return this.#executions.start({ ...record("options", options), sessionId: this.id, code });
  }

  /** What could stand in code; see `sessions.complete`. */
  complete(code: string, options: CompleteOptions = {}): Promise<Completions> {
    return this.#sessions.complete(this.id, code, options);
  }

  /** Whether code could be run as it is; see `sessions.isComplete`. */
  isComplete(code: string, options: CallOptions = {}): Promise<IsComplete> {
    return this.#sessions.isComplete(this.id, code, options);
  }

  /** Sends SIGINT to what runs; variables are kept. */
  async interrupt(options: CallOptions = {}): Promise<void> {
    await this.#sessions.interrupt(this.id, options);
  }

  /** Starts a new interpreter; files are kept, variables are not. */
  async restart(options: KeyedOptions = {}): Promise<this> {
    return this.#become(await this.#sessions.restart(this.id, options));
  }

  /** Changes when it ends, or its labels. */
  async update(options: UpdateOptions): Promise<this> {
    return this.#become(await this.#sessions.update(this.id, options));
  }

  /** Asks the daemon for its present state. */
  async refresh(options: CallOptions = {}): Promise<this> {
    return this.#become(await this.#sessions.get(this.id, options));
  }

  /** Ends it; true, also when it has ended already. */
  close(options: CallOptions = {}): Promise<true> {
    return this.#sessions.close(this.id, options);
  }

  /** Ends it, for `await using`. */
  async [asyncDispose](): Promise<void> {
    await this.close();
  }

  #become(other: Session): this {
    this.#raw = other.#raw;
    this.#fields = other.#fields;
    return this;
  }
}

function readFields(wire: Wire): SessionFields {
  const resources = wire.object("resources");
  const network = wire.object("network");
  const isolation = wire.object("isolation");
  return {
    language: wire.string("language"),
    state: wire.string("state") as SessionState,
    createdAt: wire.string("created_at"),
    expiresAt: wire.optional("expires_at", "string"),
    lastExecuteAt: wire.optional("last_execute_at", "string"),
    executeCount: wire.number("execute_count"),
    metadata: wire.object("metadata").raw as Record<string, string>,
    resources: {
      memoryMb: resources.optional("memory_mb", "number"),
      cpus: resources.optional("cpus", "number"),
      pids: resources.optional("pids", "number"),
      diskMb: resources.optional("disk_mb", "number"),
    },
    network: { mode: network.string("mode"), allow: network.optional("allow", "strings") ?? [] },
    isolation: {
      start: isolation.string("start"),
      namespaces: isolation.strings("namespaces"),
      seccomp: isolation.boolean("seccomp"),
      cgroup: isolation.string("cgroup"),
      limits: isolation.strings("limits"),
      warnings: isolation.optional("warnings", "strings") ?? [],
    },
    image: wire.string("image"),
    imageDigest: wire.string("image_digest"),
    idleTimeout: wire.number("idle_timeout"),
    kernelRestarts: wire.number("kernel_restarts"),
    sandbox: wire.string("sandbox"),
    reason: wire.optional("reason", "string"),
  };
}
