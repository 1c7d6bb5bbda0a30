// Plays the conformance cases against a running daemon:
//
//   TCI_BASE_URL=unix:///run/tcid/tcid.sock node build/tests/conformance.js [WORD …]
//
// Words choose the cases whose names contain one of them. The file of cases and
// its patterns are described in test/conformance/README.md. The exit status is 0
// when all cases passed, 1 when one failed, 2 when they can't be run.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import {
  ConflictError,
  InvalidRequestError,
  NotFoundError,
  RemoteFileNotFound,
  SessionNotFound,
  TCIClient,
  TCIError,
  type CreateOptions,
  type Execution,
  type ExecutionEvent,
  type ExecutionStream,
  type RunOptions,
  type SessionSpec,
  type TestInput,
} from "../src/index.js";
import { fit, isObject, Mismatch } from "./fit.js";

const CASES = resolve(
  fileURLToPath(new URL(".", import.meta.url)),
  "../../../../test/conformance/cases.json",
);

type Json = Record<string, unknown>;

/** The kinds of errors, and the class that each must be. */
const KINDS: Readonly<Record<string, abstract new (...args: never[]) => Error>> = {
  session_not_found: SessionNotFound,
  file_not_found: RemoteFileNotFound,
  not_found: NotFoundError,
  invalid_request: InvalidRequestError,
  conflict: ConflictError,
};

/** The arguments of a step; what is left when it was played is not known. */
class Step {
  readonly op: string;
  readonly #rest: Map<string, unknown>;

  constructor(step: Json) {
    this.#rest = new Map(Object.entries(step));
    this.op = this.take("op");
  }

  has(key: string): boolean {
    return this.#rest.has(key);
  }

  take<T>(key: string, otherwise?: T): T {
    const value = this.#rest.has(key) ? this.#rest.get(key) : otherwise;
    this.#rest.delete(key);
    return value as T;
  }

  /** Throws a Mismatch when something was not taken. */
  end(): void {
    const left = [...this.#rest.keys()];
    if (left.length > 0) throw new Mismatch(`this runner does not know the keys ${left.join(", ")}`);
  }
}

/** One case, and the sessions that it has made. */
class Case {
  readonly #client: TCIClient;
  readonly #sessions = new Map<string, string>();
  readonly #made: string[] = [];
  readonly #executions = new Map<string, string>();
  readonly #keys = new Map<string, string>();

  constructor(client: TCIClient) {
    this.#client = client;
  }

  async play(steps: readonly Json[]): Promise<void> {
    try {
      for (const [number, step] of steps.entries()) {
        try {
          await this.#step(new Step(step));
        } catch (problem) {
          if (!(problem instanceof Mismatch)) throw problem;
          throw new Mismatch(`step ${String(number)} (${String(step["op"])}): ${problem.message}`);
        }
      }
    } finally {
      for (const id of this.#made) await this.#client.sessions.close(id);
    }
  }

  async #step(step: Step): Promise<void> {
    const wanted = step.has("expect");
    const expect = step.take<unknown>("expect");
    const refusal = step.take<Json | undefined>("expect_error");
    if (!Object.hasOwn(this.#operations, step.op))
      throw new Mismatch("this runner does not know the operation");
    const operation = this.#operations[step.op];
    let answer: unknown;
    try {
      answer = await operation?.(step);
    } catch (error) {
      if (!(error instanceof TCIError || error instanceof TypeError || error instanceof RangeError))
        throw error;
      if (refusal === undefined) throw new Mismatch(`threw ${shownError(error)}`);
      checkError(refusal, error);
      return;
    }
    step.end();
    if (refusal !== undefined) {
      throw new Mismatch(
        `wanted the error ${JSON.stringify(refusal)}, got ${JSON.stringify(answer).slice(0, 500)}`,
      );
    }
    if (wanted) fit(expect, answer);
  }

  #session(step: Step): string {
    if (step.has("session_id")) return step.take<string>("session_id");
    const name = step.take("session", "s");
    const id = this.#sessions.get(name);
    if (id === undefined) throw new Mismatch(`no step has made the session ${name}`);
    return id;
  }

  #executionId(step: Step): string {
    if (step.has("execution_id")) return step.take<string>("execution_id");
    const name = step.take("execution", "e");
    const id = this.#executions.get(name);
    if (id === undefined) throw new Mismatch(`no step has made the execution ${name}`);
    return id;
  }

  /** The key that a step names; undefined: it names none. */
  #key(step: Step): string | undefined {
    if (!step.has("key")) return undefined;
    const name = step.take<string>("key");
    const key = this.#keys.get(name) ?? randomUUID();
    this.#keys.set(name, key);
    return key;
  }

  /** The arguments of an execution. */
  #execution(step: Step): RunOptions & { code: string } {
    const code = step.take<string>("code");
    const tests = step.take<TestInput[] | undefined>("tests");
    const options = camelKeys(step.take<Json>("options", {}));
    if (typeof options["stdinBase64"] === "string") {
      options["stdin"] = Buffer.from(options["stdinBase64"], "base64");
      delete options["stdinBase64"];
    }
    return { code, tests, ...options, idempotencyKey: this.#key(step) };
  }

  #ran(step: Step, execution: Execution): Json {
    this.#executions.set(step.take("execution", "e"), execution.id);
    return shown(execution);
  }

  /** Reads a stream, to its end or until it is left. */
  async #streamed(step: Step, stream: ExecutionStream, after?: number): Promise<Json> {
    const name = after === undefined ? step.take("execution", "e") : undefined;
    const leaveAfter = step.take<string | undefined>("leave_after");
    const events: Json[] = [];
    let seq = after ?? 0;
    let left = false;
    for await (const event of stream) {
      const missing = event.type === "truncated" ? event.events : 1;
      if (event.seq !== seq + missing) {
        throw new Mismatch(`event ${String(event.seq)} came after event ${String(seq)}`);
      }
      seq = event.seq;
      const last = events.at(-1);
      if ((event.type === "stdout" || event.type === "stderr") && last?.["type"] === event.type) {
        last["text"] = String(last["text"]) + event.text;
      } else {
        events.push(shownEvent(event));
      }
      left = event.type === leaveAfter;
      if (left) break;
    }
    if (leaveAfter !== undefined && !left) throw new Mismatch(`no event ${leaveAfter} came`);
    if (name !== undefined && stream.executionId !== null) this.#executions.set(name, stream.executionId);
    const execution = stream.execution === null ? null : shown(stream.execution);
    return { id: stream.executionId, events, execution };
  }

  readonly #operations: Readonly<Record<string, (step: Step) => Promise<unknown>>> = {
    create: async (step) => {
      const name = step.take("session", "s");
      const language = step.has("language") ? { language: step.take<string>("language") } : {};
      const given = sessionOptions(step.take<Json>("options", {}));
      const options = { ...language, ...given, idempotencyKey: this.#key(step) } as CreateOptions;
      const session = await this.#client.sessions.create(options);
      this.#sessions.set(name, session.id);
      this.#made.push(session.id);
      return { ...session.raw, ...wired(session, session.raw), resources: wired(session.resources) };
    },
    restart: async (step) => {
      const session = await this.#client.sessions.restart(this.#session(step));
      return { ...session.raw, ...wired(session, session.raw) };
    },
    run: async (step) => {
      const sessionId = this.#session(step);
      return this.#ran(step, await this.#client.executions.run({ sessionId, ...this.#execution(step) }));
    },
    run_once: async (step) => {
      const session = sessionOptions(step.take<Json>("session_options", {})) as SessionSpec;
      return this.#ran(step, await this.#client.run({ session, ...this.#execution(step) }));
    },
    start: async (step) => {
      const sessionId = this.#session(step);
      return this.#ran(step, await this.#client.executions.start({ sessionId, ...this.#execution(step) }));
    },
    start_once: async (step) => {
      const session = sessionOptions(step.take<Json>("session_options", {})) as SessionSpec;
      return this.#ran(step, await this.#client.start({ session, ...this.#execution(step) }));
    },
    stream: async (step) => {
      const params = { sessionId: this.#session(step), ...this.#execution(step), ...detach(step) };
      return this.#streamed(step, this.#client.executions.stream(params));
    },
    stream_once: async (step) => {
      const session = sessionOptions(step.take<Json>("session_options", {})) as SessionSpec;
      return this.#streamed(
        step,
        this.#client.stream({ session, ...this.#execution(step), ...detach(step) }),
      );
    },
    resume: async (step) => {
      const id = this.#executionId(step);
      const after = step.take("after", 0);
      return this.#streamed(step, this.#client.executions.resume(id, { after }), after);
    },
    get: async (step) => shown(await this.#client.executions.get(this.#executionId(step))),
    wait: async (step) => shown(await this.#client.executions.wait(this.#executionId(step))),
    cancel: async (step) => shown(await this.#client.executions.cancel(this.#executionId(step))),
    poll: async (step) => {
      const id = this.#executionId(step);
      for (let tries = 0; tries < 300; tries++) {
        const execution = await this.#client.executions.get(id);
        if (execution.done) return shown(execution);
        await sleep(100);
      }
      throw new Mismatch("the execution has not ended after 30 seconds");
    },
    executions: async (step) => (await this.#client.executions.list(this.#session(step))).map(shown),
    interrupt: async (step) => {
      const session = await this.#client.sessions.interrupt(this.#session(step));
      return { ...session.raw, ...wired(session, session.raw) };
    },
    complete: async (step) => {
      const code = step.take<string>("code");
      const cursor = step.take<number | undefined>("cursor");
      return wired(await this.#client.sessions.complete(this.#session(step), code, { cursor }));
    },
    is_complete: async (step) => {
      const code = step.take<string>("code");
      return wired(await this.#client.sessions.isComplete(this.#session(step), code));
    },
    upload: async (step) => {
      const sessionId = this.#session(step);
      const path = step.take<string>("path");
      const content = step.has("content")
        ? step.take<string>("content")
        : Buffer.from(step.take<string>("content_base64"), "base64");
      return this.#client.files.upload(sessionId, path, content);
    },
    download: async (step) => {
      const file = await this.#client.files.download(this.#session(step), step.take<string>("path"));
      let content: string | null = null;
      try {
        content = file.text;
      } catch {
        // not UTF-8
      }
      return { name: file.name, content, content_base64: Buffer.from(file.content).toString("base64") };
    },
    list: async (step) => {
      const recursive = step.take("recursive", false);
      const entries = await this.#client.files.list(this.#session(step), step.take("path", ""), {
        recursive,
      });
      return entries.map((entry) => wired(entry));
    },
    delete: async (step) => {
      const recursive = step.take("recursive", false);
      return this.#client.files.delete(this.#session(step), step.take<string>("path"), { recursive });
    },
    close: async (step) => this.#client.sessions.close(this.#session(step)),
  };
}

/** The option of streams. */
function detach(step: Step): { detach?: boolean } {
  return step.has("detach") ? { detach: step.take<boolean>("detach") } : {};
}

/** An event as the client shows it. */
function shownEvent(event: ExecutionEvent): Json {
  const { seq, time, ...fields } = wired(event);
  if (typeof seq !== "number" || typeof time !== "string")
    throw new Mismatch("an event has no number or no time");
  if (fields["display_id"] === null) delete fields["display_id"];
  if (event.type === "test") fields["test"] = wired(event.test);
  if (event.type === "finished") fields["execution"] = shown(event.execution);
  return fields;
}

/** Options of a session with the names that this client gives them. */
function sessionOptions(options: Json): Json {
  const named = camelKeys(options);
  if (isObject(named["resources"])) named["resources"] = camelKeys(named["resources"]);
  return named;
}

function camelKeys(object: Json): Json {
  const camel = (key: string): string =>
    key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [camel(key), value]));
}

/** What an object of the client shows, under the names of the wire; with `raw`, those of its fields. */
function wired(object: object, raw?: Readonly<Json>): Json {
  const snake = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const keys =
    raw === undefined ? Object.keys(object) : Object.keys(camelKeys(raw)).filter((key) => key in object);
  return Object.fromEntries(keys.map((key) => [snake(key), (object as Json)[key]]));
}

/** An execution as the client shows it. */
function shown(execution: Execution): Json {
  return {
    ...execution.raw,
    ...wired(execution, execution.raw),
    truncated: wired(execution.truncated),
    receipt: wired(execution.receipt),
    tests: execution.tests.map((test) => wired(test)),
    files: execution.files.map((file) => wired(file)),
    ok: execution.ok,
    done: execution.done,
    text: execution.text,
    images: execution.images.length,
  };
}

/** Throws a Mismatch unless the error is the one that was wanted. */
function checkError(refusal: Json, error: Error): void {
  const { kind, ...fields } = refusal;
  const wanted = KINDS[kind as string];
  if (wanted === undefined) throw new Mismatch(`this runner does not know the kind ${String(kind)}`);
  if (!(error instanceof wanted)) throw new Mismatch(`wanted ${wanted.name}, got ${shownError(error)}`);
  if (kind === "not_found" && error instanceof SessionNotFound) {
    throw new Mismatch(`wanted NotFoundError itself, got ${shownError(error)}`);
  }
  for (const [name, value] of Object.entries(fields)) {
    if (!["code", "status", "param"].includes(name)) {
      throw new Mismatch(`this runner does not know the key ${name} of expect_error`);
    }
    const got = (error as unknown as Json)[name];
    if (got !== value)
      throw new Mismatch(`${name} is ${JSON.stringify(got)}, wanted ${JSON.stringify(value)}`);
  }
}

function shownError(error: Error): string {
  return `${error.name}(${JSON.stringify(error.message)})`;
}

async function main(words: readonly string[]): Promise<number> {
  const file = JSON.parse(readFileSync(CASES, "utf8")) as {
    version: number;
    cases: { name: string; steps: Json[] }[];
  };
  if (file.version !== 1) {
    console.error(`conformance: ${CASES} has version ${String(file.version)}; this runner knows 1`);
    return 2;
  }
  const chosen = file.cases.filter(
    ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
  );
  if (chosen.length === 0) {
    console.error("conformance: no case has such a name");
    return 2;
  }
  const client = new TCIClient();
  try {
    await client.version();
  } catch (error) {
    if (!(error instanceof TCIError)) throw error;
    console.error(`conformance: ${error.message}`);
    return 2;
  }
  let failed = 0;
  for (const { name, steps } of chosen) {
    try {
      await new Case(client).play(steps);
      console.log(`ok   ${name}`);
    } catch (problem) {
      // A broken case must not hide the ones after it.
      failed += 1;
      const text = problem instanceof Mismatch ? problem.message : shownError(problem as Error);
      console.log(`FAIL ${name}: ${text}`);
    }
  }
  client.close();
  console.log(`${String(chosen.length - failed)} passed, ${String(failed)} failed`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
