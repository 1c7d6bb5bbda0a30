import { randomUUID } from "node:crypto";

import { idSegment } from "./address.js";
import { ConnectionFailed, EventsGone } from "./errors.js";
import { Execution } from "./models.js";
import { count, text, word } from "./options.js";
import {
  executionBody,
  type CallOptions,
  type RunOnceParams,
  type RunParams,
  type StreamOnceParams,
  type StreamParams,
} from "./specs.js";
import { ExecutionStream } from "./stream.js";
import { HEARTBEAT_TIMEOUT, STREAM_TIMEOUT, type Call, type Transport } from "./transport.js";
import { Wire } from "./wire.js";

const NDJSON = "application/x-ndjson";

/** Options of `executions.resume`. */
export interface ResumeOptions extends CallOptions {
  /** The `seq` of the last event that is known already; left out: from the beginning. */
  after?: number | undefined;
}

/** `client.executions`: code run in a session, or in one of its own. */
export class Executions {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Runs code in a session and returns when it has ended, however it did: code that
   * fails throws nothing here; look at `ok` and `error`.
   *
   * Throws a SessionNotFound, an InvalidRequestError (an argument is wrong), or a
   * CapacityError (too many executions wait already).
   */
  async run(params: RunParams): Promise<Execution> {
    return this.#run(
      sessionPath(params.sessionId),
      executionBody(params, { once: false, stream: false }),
      params,
    );
  }

  /** Runs code in a session that is made for it and closed after it. */
  async runOnce(params: RunOnceParams): Promise<Execution> {
    return this.#run("/v1/executions", executionBody(params, { once: true, stream: false }), params);
  }

  /**
   * Runs code in a session; its events come while it runs:
   *
   * ```ts
   * for await (const event of client.executions.stream({ sessionId, code })) {
   *   if (event.type === "stdout") process.stdout.write(event.text);
   *   if (event.type === "finished") console.log(event.execution.result);
   * }
   * ```
   */
  stream(params: StreamParams): ExecutionStream {
    return this.#stream(
      sessionPath(params.sessionId),
      executionBody(params, { once: false, stream: true }),
      params,
    );
  }

  /** As `stream`, in a session that is made for it and closed after it. */
  streamOnce(params: StreamOnceParams): ExecutionStream {
    return this.#stream("/v1/executions", executionBody(params, { once: true, stream: true }), params);
  }

  /**
   * Starts code in a session and returns at once: `wait`, `resume`, `get` and
   * `cancel` take the `id` of what is returned. It runs on whether or not anybody
   * listens.
   */
  async start(params: RunParams): Promise<Execution> {
    return this.#begin(
      sessionPath(params.sessionId),
      executionBody(params, { once: false, stream: false }),
      params,
    );
  }

  /** As `start`, in a session that is made for it and closed after it. */
  async startOnce(params: RunOnceParams): Promise<Execution> {
    return this.#begin("/v1/executions", executionBody(params, { once: true, stream: false }), params);
  }

  /** Shows an execution, also while it runs. Throws a NotFoundError. */
  async get(executionId: string, options: CallOptions = {}): Promise<Execution> {
    const path = executionPath(executionId);
    return new Execution(await this.#transport.json({ method: "GET", path, signal: options.signal }));
  }

  /**
   * Listens to an execution, also to what it has shown before, while it runs and
   * for ten minutes after. The loop throws a NotFoundError, or an EventsGone when
   * it is too late.
   */
  resume(executionId: string, options: ResumeOptions = {}): ExecutionStream {
    const after = count("after", options.after ?? 0);
    const resume = (id: string, seq: number): Call => listen(id, seq, options.signal);
    const first = resume(text("executionId", executionId), after);
    const { signal } = options;
    const look: Call = { method: "GET", path: executionPath(executionId), signal };
    return new ExecutionStream(this.#transport, { first, resume, look, executionId, after, signal });
  }

  /** Waits for the end of an execution and returns it. */
  async wait(executionId: string, options: CallOptions = {}): Promise<Execution> {
    try {
      return await this.resume(executionId, options).result();
    } catch (error) {
      // Its end is longer ago than events are kept.
      if (error instanceof EventsGone) return this.get(executionId, options);
      throw error;
    }
  }

  /** Ends an execution and returns what became of it. */
  async cancel(executionId: string, options: CallOptions = {}): Promise<Execution> {
    const path = `${executionPath(executionId)}/cancel`;
    const call: Call = { method: "POST", path, wait: HEARTBEAT_TIMEOUT, signal: options.signal };
    return new Execution(await this.#transport.json(call));
  }

  /** Lists what is still known of a session's executions, in their order. */
  async list(sessionId: string, options: CallOptions = {}): Promise<Execution[]> {
    const call: Call = { method: "GET", path: sessionPath(sessionId), signal: options.signal };
    const answer = new Wire(await this.#transport.json(call), "a list of executions");
    return answer.objects("data").map((wire) => new Execution(wire.raw));
  }

  async #run(path: string, body: Record<string, unknown>, options: RunOnceParams): Promise<Execution> {
    return this.#execute(path, body, options, (id) => this.wait(id, { signal: options.signal }));
  }

  async #begin(path: string, body: Record<string, unknown>, options: RunOnceParams): Promise<Execution> {
    return this.#execute(path, { ...body, detach: true }, options, (id) =>
      this.get(id, { signal: options.signal }),
    );
  }

  /** Sends code; `found` is for an answer that breaks when it has told the execution's id. */
  async #execute(
    path: string,
    json: Record<string, unknown>,
    options: RunOnceParams,
    found: (executionId: string) => Promise<Execution>,
  ): Promise<Execution> {
    try {
      return new Execution(await this.#transport.json(execute(path, json, options)));
    } catch (error) {
      if (error instanceof ConnectionFailed && error.executionId !== null && this.#transport.maxRetries > 0) {
        return found(error.executionId);
      }
      throw error;
    }
  }

  #stream(path: string, body: Record<string, unknown>, options: StreamOnceParams): ExecutionStream {
    const { signal } = options;
    const call = execute(path, { ...body, stream: true }, options);
    return new ExecutionStream(this.#transport, {
      first: { ...call, headers: { Accept: NDJSON } },
      resume: (id, seq) => listen(id, seq, signal),
      signal,
    });
  }
}

function execute(path: string, json: Record<string, unknown>, options: RunOnceParams): Call {
  const key = keyOf(options.idempotencyKey);
  return { method: "POST", path, json, wait: HEARTBEAT_TIMEOUT, key, signal: options.signal };
}

function listen(executionId: string, after: number, signal: AbortSignal | undefined): Call {
  return {
    method: "GET",
    path: `${executionPath(executionId)}/events`,
    query: { after: String(after) },
    headers: { Accept: NDJSON },
    wait: STREAM_TIMEOUT,
    signal,
  };
}

/** The caller's key, or a new one. */
export function keyOf(idempotencyKey: string | undefined): string {
  return idempotencyKey === undefined ? randomUUID() : word("idempotencyKey", idempotencyKey);
}

function sessionPath(sessionId: string): string {
  return `/v1/sessions/${idSegment("sessionId", sessionId)}/executions`;
}

function executionPath(executionId: string): string {
  return `/v1/executions/${idSegment("executionId", executionId)}`;
}
