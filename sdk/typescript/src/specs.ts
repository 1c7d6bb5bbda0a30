// The options of sessions and executions, and what becomes of them on the wire.

import {
  base64,
  encodeOptions,
  flag,
  inlineFiles,
  isRecord,
  kindOf,
  renamed,
  seconds,
  string,
  strings,
  text,
  count,
} from "./options.js";
import type { Field, FilesInput } from "./options.js";

/** What every call takes. */
export interface CallOptions {
  /**
   * Ends the call: its connection is closed, and it rejects with the signal's
   * reason. Code that runs for it is cancelled by the daemon a few seconds later,
   * unless somebody else listens to it by then or it was started by `start`.
   */
  signal?: AbortSignal | undefined;
}

/** The limits of a session; what is left out is as the daemon has it. */
export interface ResourcesInput {
  /** MiB of memory of all kinds, files in the workspace included. */
  memoryMb?: number | undefined;
  /** CPU seconds per second. */
  cpus?: number | undefined;
  /** Processes and threads. */
  pids?: number | undefined;
  /** MiB of files in the workspace. */
  diskMb?: number | undefined;
}

/** What a session is made from. Every field may be left out. */
export interface SessionSpec {
  /** The language of the code: `python`. */
  language?: string | undefined;
  /** How Python is started: `fork` (default, milliseconds) or `fresh` (a user namespace of its own). */
  isolation?: "fork" | "fresh" | undefined;
  /** Seconds after which it ends whatever it does; 0: never. */
  ttl?: number | undefined;
  /** Seconds after its last use at which it ends; 0: never. */
  idleTimeout?: number | undefined;
  /** Environment variables. */
  env?: Readonly<Record<string, string>> | undefined;
  /** Python's first working directory. */
  cwd?: string | undefined;
  /** Labels of your own, to find sessions by. */
  metadata?: Readonly<Record<string, string>> | undefined;
  /** Its limits. */
  resources?: ResourcesInput | undefined;
  /** What it may reach. */
  network?: { mode: "none"; allow?: readonly string[] | undefined } | undefined;
  /** Files that are there from the beginning: name to content. */
  files?: FilesInput | undefined;
  /** The name or digest of an image. */
  image?: string | undefined;
}

/** Options of requests that make something. */
export interface KeyedOptions extends CallOptions {
  /**
   * Names this request among all of yours: another one with the same key and the
   * same content, within ten minutes, gets the same answer. Left out: a new one,
   * which all tries of the call share.
   */
  idempotencyKey?: string | undefined;
}

/** Options of `sessions.create`. */
export interface CreateOptions extends SessionSpec, KeyedOptions {}

/** Options of `sessions.update`; what is left out stays. */
export interface UpdateOptions extends CallOptions {
  /** Seconds from now after which the session ends; 0 takes that end away. */
  ttl?: number | undefined;
  /** Seconds after its last use at which it ends; 0: never. */
  idleTimeout?: number | undefined;
  /** Replaces all labels. */
  metadata?: Readonly<Record<string, string>> | undefined;
}

/** A check of an execution, made when that ended ok. */
export interface TestInput {
  /**
   * A Python expression over the session's names and `result`, `stdout` and
   * `stderr` of this execution; the test passes when it is true.
   */
  readonly condition: string;
  /** A name for the result; `test_N` by default. */
  readonly name?: string | undefined;
  /** The kind of test. */
  readonly type?: "condition" | undefined;
  /** Points for a pass; 1 by default. */
  readonly reward?: number | undefined;
  /** Another name for `reward`. */
  readonly weight?: number | undefined;
  /** Seconds of wall time; 6 by default. */
  readonly timeout?: number | undefined;
  /** A failure of this test makes the whole reward 0. */
  readonly required?: boolean | undefined;
}

/** How points become a reward. */
export type Grading = "weighted" | "sum" | "all_or_nothing" | "fraction";

/** What can be said about an execution beside its code. */
export interface RunOptions extends KeyedOptions {
  /** Checks to grade it by. */
  tests?: readonly TestInput[] | undefined;
  /** Its limit in seconds; 60 by default. The connection waits by itself for longer. */
  timeout?: number | undefined;
  /** What the code reads; left out: end of file. */
  stdin?: string | Uint8Array | undefined;
  /** Environment variables of this execution only. */
  env?: Readonly<Record<string, string>> | undefined;
  /** The working directory of this execution only. */
  cwd?: string | undefined;
  /** Files that are written before the code runs: name to content. */
  files?: FilesInput | undefined;
  /** How points become the reward; `weighted` by default. */
  grading?: Grading | undefined;
  /** Bytes of stdout and stderr that are kept. */
  maxOutputBytes?: number | undefined;
}

/** Arguments of `executions.run` and `executions.start`. */
export interface RunParams extends RunOptions {
  /** The session's id. */
  sessionId: string;
  /** Python. */
  code: string;
}

/** Arguments of `client.run` and `client.start`. */
export interface RunOnceParams extends RunOptions {
  /** Python. */
  code: string;
  /** What the session is made from that the code runs in. */
  session?: SessionSpec | undefined;
}

/** Options of streams. */
export interface StreamOptions extends RunOptions {
  /** Lets the execution run on when the stream is left. */
  detach?: boolean | undefined;
}

/** Arguments of `executions.stream`. */
export interface StreamParams extends StreamOptions {
  /** The session's id. */
  sessionId: string;
  /** Python. */
  code: string;
}

/** Arguments of `client.stream`. */
export interface StreamOnceParams extends StreamOptions {
  /** Python. */
  code: string;
  /** What the session is made from that the code runs in. */
  session?: SessionSpec | undefined;
}

const asIs = (_name: string, value: unknown): unknown => value;

const SESSION: Readonly<Record<keyof SessionSpec, Field>> = {
  language: ["language", text],
  isolation: ["isolation", text],
  ttl: ["ttl", seconds],
  idleTimeout: ["idle_timeout", seconds],
  env: ["env", strings],
  cwd: ["cwd", text],
  metadata: ["metadata", strings],
  resources: [
    "resources",
    renamed({
      memoryMb: ["memory_mb", asIs],
      cpus: ["cpus", asIs],
      pids: ["pids", asIs],
      diskMb: ["disk_mb", asIs],
    }),
  ],
  network: ["network", renamed({ mode: ["mode", text], allow: ["allow", asIs] })],
  files: ["files", inlineFiles],
  image: ["image", text],
};

const UPDATE: Readonly<Record<string, Field>> = {
  ttl: SESSION.ttl,
  idleTimeout: SESSION.idleTimeout,
  metadata: SESSION.metadata,
};

const RUN: Readonly<Record<string, Field>> = {
  code: ["code", string],
  tests: ["tests", tests],
  timeout: ["timeout", seconds],
  stdin: ["stdin", asIs],
  env: ["env", strings],
  cwd: ["cwd", text],
  files: ["files", inlineFiles],
  grading: ["grading", (name, value) => ({ mode: text(name, value) })],
  maxOutputBytes: ["max_output_bytes", count],
};

const STREAM: Readonly<Record<string, Field>> = { ...RUN, detach: ["detach", flag] };
const SESSION_OF_ONE: Readonly<Record<string, Field>> = { session: ["session", renamed(SESSION)] };

/** What calls take beside what is sent in the body. */
const BESIDE = ["signal", "idempotencyKey"];

/** The body of `POST /v1/sessions`. */
export function sessionBody(options: CreateOptions): Record<string, unknown> {
  return encodeOptions(options, SESSION, BESIDE);
}

/** The body of `PATCH /v1/sessions/{id}`. */
export function updateBody(options: UpdateOptions): Record<string, unknown> {
  return encodeOptions(options, UPDATE, ["signal"]);
}

/** The body of an execution, `once` in a session of its own. */
export function executionBody(
  params: Omit<StreamParams, "sessionId"> & { session?: SessionSpec | undefined },
  kind: { once: boolean; stream: boolean },
): Record<string, unknown> {
  const fields = { ...(kind.stream ? STREAM : RUN), ...(kind.once ? SESSION_OF_ONE : {}) };
  const body = encodeOptions(params, fields, kind.once ? BESIDE : [...BESIDE, "sessionId"]);
  string("code", params.code);
  if (body["stdin"] instanceof Uint8Array) {
    body["stdin_base64"] = base64(body["stdin"]);
    delete body["stdin"];
  } else if ("stdin" in body) {
    string("stdin", body["stdin"]);
  }
  return body;
}

function tests(name: string, value: unknown): unknown {
  if (!Array.isArray(value)) throw new TypeError(`${name} must be an array of objects with a condition each`);
  for (const test of value) {
    if (!isRecord(test))
      throw new TypeError(`each test must be an object with a condition, not ${kindOf(test)}`);
  }
  return value;
}
