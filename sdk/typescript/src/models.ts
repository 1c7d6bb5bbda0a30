import { ExecutionError } from "./errors.js";
import type { JsonValue } from "./options.js";
import { cutMiddle } from "./text.js";
import { Wire } from "./wire.js";

/** What {@link Execution.text} is cut to, in characters. */
export const TEXT_LIMIT = 20_000;

/**
 * How far an execution is, or how it ended.
 *
 * - `ok`: the code ended
 * - `error`: it raised
 * - `timeout`: its time was over
 * - `interrupted`: by SIGINT or a restart
 * - `cancelled`: by a client
 * - `memory_limit`, `crashed`: the interpreter ended
 * - `expired`: the session's end ended it
 * - `infra_error`: the daemon's fault, or it was stopped; not the code's
 */
export type ExecutionStatus =
  | "queued"
  | "running"
  | "ok"
  | "error"
  | "timeout"
  | "interrupted"
  | "cancelled"
  | "memory_limit"
  | "crashed"
  | "expired"
  | "infra_error";

/** Why an execution did not end ok. */
export interface ExecutionFailure {
  /** The exception's class, or `TimeoutError`, `KernelDied`, … */
  readonly name: string;
  /** Its text. */
  readonly value: string;
  /** The traceback, in pieces of one or more lines. */
  readonly traceback: readonly string[];
}

/** The verdict of one test. */
export interface TestResult {
  /** The test's name. */
  readonly name: string;
  /** The test's type. */
  readonly type: string;
  /** The test's place in the request, from 0. */
  readonly index: number;
  /** Whether it passed. */
  readonly passed: boolean;
  /** Points earned. */
  readonly reward: number;
  /** The part that passed, 0 to 1. */
  readonly score: number;
  /** The verdict: `passed`, `wrong_answer`, `runtime_error`, `timeout`, … */
  readonly status: string;
  /** `cooperative`: the test ran beside the code, which could have fooled it. */
  readonly integrity: string;
  /** Milliseconds that the test took. */
  readonly durationMs: number;
  /** More about a failure; may be empty. */
  readonly message: string;
}

/**
 * What an execution cost and what its limits did to it, measured from outside
 * the sandbox.
 */
export interface Receipt {
  /** Milliseconds from start to end, without the tests. */
  readonly wallMs: number;
  /** Milliseconds spent waiting for earlier executions. */
  readonly queueMs: number;
  /** Milliseconds of CPU in user code. */
  readonly cpuUserMs: number;
  /** Milliseconds of CPU in the kernel. */
  readonly cpuSystemMs: number;
  /** Milliseconds for which the CPU limit held it back. */
  readonly throttledMs: number;
  /** The session's highest use of memory, in bytes. */
  readonly maxMemoryBytes: number;
  /** Processes that the memory limit ended. */
  readonly oomKills: number;
  /** The most processes and threads; null where the host doesn't tell. */
  readonly maxPids: number | null;
  /** Processes and threads that their limit refused. */
  readonly refusedForks: number;
  /** The most open descriptors of the Python process that were seen; null: none were. */
  readonly maxOpenFiles: number | null;
  /** Bytes of stdout, stderr and display items, kept or not. */
  readonly outputBytes: number;
  /** Those of `outputBytes` that were dropped. */
  readonly droppedOutputBytes: number;
  /** Display items and results that were shown, kept or not. */
  readonly displays: number;
  /** Those of `displays` that were dropped. */
  readonly droppedDisplays: number;
  /** Bytes that the workspace's files take at its end. */
  readonly workspaceBytes: number;
  /** Files, directories and links in the workspace at its end. */
  readonly workspaceFiles: number;
  /** The limits that took effect: `memory`, `cpu`, `pids`, `time`, `open_files`, … */
  readonly limitsHit: readonly string[];
}

/** MIME type to value; binary types are base64. */
export type MimeBundle = Readonly<Record<string, JsonValue>>;

/** One item of what an execution showed. */
export type Output =
  | {
      /** Text of a stream, or a traceback. */
      readonly type: "stdout" | "stderr" | "error";
      /** The text. */
      readonly data: string;
    }
  | {
      /** Something displayed, or the value of the last expression. */
      readonly type: "display_data" | "execute_result";
      /** Its representations. */
      readonly data: MimeBundle;
    };

/** An entry of a workspace. Links are described themselves. */
export interface FileInfo {
  /** Relative to the workspace, with slashes. */
  readonly path: string;
  /** The last part of the path. */
  readonly name: string;
  /** Bytes of a file; 0 for anything else. */
  readonly size: number;
  /** The kind. */
  readonly type: "file" | "directory" | "symlink" | "other";
  /** Permission bits in octal, such as `"0644"`. */
  readonly mode: string;
  /** RFC 3339 in UTC. */
  readonly modifiedAt: string;
}

/** A file that an execution made, changed or removed. */
export interface FileChange extends FileInfo {
  /** What happened to it; of a deleted one the other fields say what was there. */
  readonly change: "created" | "modified" | "deleted";
}

/** A downloaded file. */
export class File {
  /** The path as the caller gave it. */
  readonly name: string;
  /** The bytes. */
  readonly content: Uint8Array;

  /** @internal */
  constructor(name: string, content: Uint8Array) {
    this.name = name;
    this.content = content;
  }

  /** The content as text. Throws a TypeError when it is not UTF-8. */
  get text(): string {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.content);
  }
}

/** One run of one piece of code, as the daemon told it last. */
export class Execution {
  /** The id. */
  readonly id: string;
  /** The session's id. */
  readonly sessionId: string;
  /** 1 for the session's first execution. */
  readonly index: number;
  /** How it ended, or how far it is. */
  readonly status: ExecutionStatus;
  /** What was kept of standard output. */
  readonly stdout: string;
  /** What was kept of standard error. */
  readonly stderr: string;
  /**
   * The value of the last statement if that is an expression and not None, else
   * that of the variable `result` if this execution bound it: as JSON where JSON
   * carries it without loss, else its repr. Else null.
   */
  readonly result: JsonValue;
  /** The value's repr, bounded; null: there is no value. */
  readonly resultRepr: string | null;
  /** Where the result came from. */
  readonly resultSource: "expression" | "variable" | "none";
  /** Why it did not end ok; null: it did, or it hasn't ended. */
  readonly error: ExecutionFailure | null;
  /** Whether variables of earlier executions were lost. Files are kept. */
  readonly stateLost: boolean;
  /** What it showed, in the order in which it came. */
  readonly outputs: readonly Output[];
  /** How many bytes were dropped from the middle of each stream. */
  readonly truncated: { readonly stdoutBytes: number; readonly stderrBytes: number };
  /** One for each test sent. */
  readonly tests: readonly TestResult[];
  /** 0 to 1 by the grading mode; null: no tests, or the daemon's fault. */
  readonly reward: number | null;
  /** Points earned. */
  readonly points: number;
  /** Points that could be earned. */
  readonly maxPoints: number;
  /** Tests passed. */
  readonly passed: number;
  /** Tests. */
  readonly total: number;
  /** What it cost. */
  readonly receipt: Receipt;
  /** The files of the workspace that changed while it ran. */
  readonly files: readonly FileChange[];
  /** Whether some may be missing in `files`. */
  readonly filesTruncated: boolean;
  /** When it was sent; RFC 3339 in UTC. */
  readonly queuedAt: string;
  /** When it started; null: not, or not yet. */
  readonly startedAt: string | null;
  /** When it ended; null: not yet. */
  readonly finishedAt: string | null;
  /** Whether this is the stored answer to an earlier try. */
  readonly idempotentReplay: boolean;
  /** The daemon's object. */
  readonly raw: Readonly<Record<string, unknown>>;

  /** @internal */
  constructor(value: unknown) {
    const wire = new Wire(value, "an execution");
    this.raw = wire.raw;
    this.id = wire.string("id");
    this.sessionId = wire.string("session_id");
    this.index = wire.number("index");
    this.status = wire.string("status") as ExecutionStatus;
    // Left out of streams whose events have told them.
    this.stdout = wire.optional("stdout", "string") ?? "";
    this.stderr = wire.optional("stderr", "string") ?? "";
    this.outputs = (wire.optional("outputs", "objects") ?? []).map(readOutput);
    this.resultRepr = wire.optional("result_repr", "string");
    const repr = this.resultRepr === "None" ? null : this.resultRepr;
    this.result = (wire.raw["result"] as JsonValue | undefined) ?? repr;
    this.resultSource = wire.string("result_source") as Execution["resultSource"];
    const error = wire.optional("error", "object");
    this.error = error === null ? null : failure(error);
    this.stateLost = wire.boolean("state_lost");
    const truncated = wire.object("truncated");
    this.truncated = {
      stdoutBytes: truncated.number("stdout_bytes"),
      stderrBytes: truncated.number("stderr_bytes"),
    };
    this.tests = wire.objects("tests").map(testResult);
    this.reward = wire.optional("reward", "number");
    this.points = wire.number("points");
    this.maxPoints = wire.number("max_points");
    this.passed = wire.number("passed");
    this.total = wire.number("total");
    this.receipt = receipt(wire.object("receipt"));
    this.files = (wire.optional("files", "objects") ?? []).map(fileChange);
    this.filesTruncated = wire.optional("files_truncated", "boolean") ?? false;
    this.queuedAt = wire.string("queued_at");
    this.startedAt = wire.optional("started_at", "string");
    this.finishedAt = wire.optional("finished_at", "string");
    this.idempotentReplay = wire.optional("idempotent_replay", "boolean") ?? false;
  }

  /** True when the code ran to its end. */
  get ok(): boolean {
    return this.status === "ok";
  }

  /** True when nothing of it is still to come. */
  get done(): boolean {
    return this.status !== "queued" && this.status !== "running";
  }

  /**
   * What a model should read: output, displays, results and the error, in order,
   * cut to 20,000 characters in the middle.
   */
  get text(): string {
    const parts = this.outputs.map(({ data }) => {
      if (typeof data === "string") return data.endsWith("\n") ? data : data + "\n";
      const plain = data["text/plain"];
      return (typeof plain === "string" ? plain : `[${Object.keys(data).sort().join(", ")}]`) + "\n";
    });
    return cutMiddle(parts.join(""), TEXT_LIMIT);
  }

  /** The PNG and JPEG images that were shown, in order. */
  get images(): Uint8Array[] {
    return this.outputs.flatMap(({ data }) => {
      if (typeof data === "string") return [];
      return ["image/png", "image/jpeg"]
        .map((kind) => data[kind])
        .filter((image) => typeof image === "string")
        .map((image) => new Uint8Array(Buffer.from(image, "base64")));
    });
  }

  /** Throws an ExecutionError unless the code ran to its end. */
  raiseForError(): this {
    if (this.ok) return this;
    let message = `the execution ended as ${this.status}`;
    if (this.error !== null) {
      const { name, value, traceback } = this.error;
      message = traceback.length > 0 ? traceback.join("\n") : `${name}: ${value}`;
    }
    throw new ExecutionError(message);
  }
}

function readOutput(wire: Wire): Output {
  const type = wire.string("type") as Output["type"];
  if (type === "display_data" || type === "execute_result") {
    return { type, data: wire.object("data").raw as MimeBundle };
  }
  return { type, data: wire.string("data") };
}

function failure(wire: Wire): ExecutionFailure {
  return { name: wire.string("name"), value: wire.string("value"), traceback: wire.strings("traceback") };
}

/** @internal */
export function testResult(wire: Wire): TestResult {
  return {
    name: wire.string("name"),
    type: wire.string("type"),
    index: wire.number("index"),
    passed: wire.boolean("passed"),
    reward: wire.number("reward"),
    score: wire.number("score"),
    status: wire.string("status"),
    integrity: wire.string("integrity"),
    durationMs: wire.number("duration_ms"),
    message: wire.string("message"),
  };
}

function receipt(wire: Wire): Receipt {
  return {
    wallMs: wire.number("wall_ms"),
    queueMs: wire.number("queue_ms"),
    cpuUserMs: wire.number("cpu_user_ms"),
    cpuSystemMs: wire.number("cpu_system_ms"),
    throttledMs: wire.number("throttled_ms"),
    maxMemoryBytes: wire.number("max_memory_bytes"),
    oomKills: wire.number("oom_kills"),
    maxPids: wire.optional("max_pids", "number"),
    refusedForks: wire.number("refused_forks"),
    maxOpenFiles: wire.optional("max_open_files", "number"),
    outputBytes: wire.number("output_bytes"),
    droppedOutputBytes: wire.number("dropped_output_bytes"),
    displays: wire.number("displays"),
    droppedDisplays: wire.number("dropped_displays"),
    workspaceBytes: wire.number("workspace_bytes"),
    workspaceFiles: wire.number("workspace_files"),
    limitsHit: wire.strings("limits_hit"),
  };
}

/** @internal */
export function fileInfo(wire: Wire): FileInfo {
  return {
    path: wire.string("path"),
    name: wire.string("name"),
    size: wire.number("size"),
    type: wire.string("type") as FileInfo["type"],
    mode: wire.string("mode"),
    modifiedAt: wire.string("modified_at"),
  };
}

function fileChange(wire: Wire): FileChange {
  return { ...fileInfo(wire), change: wire.string("change") as FileChange["change"] };
}
