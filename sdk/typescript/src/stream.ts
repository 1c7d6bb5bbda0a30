import { ConnectionFailed, InfraError, StreamBroken, TCIError } from "./errors.js";
import { readEvent, type ExecutionEvent } from "./events.js";
import { lines } from "./lines.js";
import { Execution } from "./models.js";
import { mayRetry, pause, Retries } from "./retry.js";
import type { Call, Opened, Transport } from "./transport.js";
import { Wire } from "./wire.js";

/** Seconds for an answer to end after its last event. */
const END_TIMEOUT = 1;

/** How a stream begins. @internal */
export interface StreamStart {
  /** The request that starts the execution, or the first that listens to it. */
  readonly first: Call;
  /** The request that goes on behind an event. */
  readonly resume: (executionId: string, after: number) => Call;
  /** The execution, where there is one already. */
  readonly executionId?: string | undefined;
  /** The request that shows that execution. */
  readonly look?: Call | undefined;
  /** The last event that is known already. */
  readonly after?: number | undefined;
  /** Ends the stream. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The events of an execution: each once, in order, the `finished` one last. What
 * `client.executions.stream` and `resume` give.
 *
 * The request is sent when the loop over it begins; there can be one loop only.
 * When the connection breaks, the stream goes on by itself behind the last event
 * that arrived, `maxRetries` times in a row. Then it throws a {@link StreamBroken},
 * as it does when the daemon no longer has the execution.
 *
 * Leaving the loop before its end closes the connection; then the daemon ends the
 * execution a few seconds later, unless it was sent with `detach` or somebody else
 * listens to it.
 */
export class ExecutionStream implements AsyncIterable<ExecutionEvent> {
  readonly #transport: Transport;
  readonly #start: StreamStart;
  #executionId: string | null;
  #seq: number;
  #execution: Execution | null = null;
  #begun = false;

  /** @internal */
  constructor(transport: Transport, start: StreamStart) {
    this.#transport = transport;
    this.#start = start;
    this.#executionId = start.executionId ?? null;
    this.#seq = start.after ?? 0;
  }

  /** The execution's id, which is known with the first event; null: not yet. */
  get executionId(): string | null {
    return this.#executionId;
  }

  /** The number of the last event that was read, which `resume` takes as `after`; 0: none. */
  get seq(): number {
    return this.#seq;
  }

  /** The execution, once its last event was read; null: not yet. */
  get execution(): Execution | null {
    return this.#execution;
  }

  /** Reads what is left, or all, and returns the execution. */
  async result(): Promise<Execution> {
    if (!this.#begun) for await (const _ of this);
    if (this.#execution === null) {
      throw new TypeError("the stream was left before its execution had ended; see executions.wait");
    }
    return this.#execution;
  }

  /** Begins. Throws a TypeError the second time. */
  [Symbol.asyncIterator](): AsyncGenerator<ExecutionEvent, void, undefined> {
    if (this.#begun) throw new TypeError("a stream can be read once only; see executions.resume");
    this.#begun = true;
    return this.#events();
  }

  async *#events(): AsyncGenerator<ExecutionEvent, void, undefined> {
    const { first, resume, signal } = this.#start;
    const limit = this.#transport.maxRetries;
    let retries = new Retries(limit, { again: true, keyed: first.key !== undefined });
    let accepted = false;
    for (;;) {
      let opened: Opened | undefined;
      let late: ReturnType<typeof setTimeout> | undefined;
      try {
        const call = accepted && this.#executionId !== null ? resume(this.#executionId, this.#seq) : first;
        opened = await this.#transport.open(call);
        this.#executionId ??= opened.header("X-Execution-Id") ?? null;
        // From here on nothing is started any more, only listened to.
        if (!accepted) retries = new Retries(limit, { again: true, keyed: false });
        accepted = true;
        for await (const line of lines(opened.body, this.#transport.maxJsonBytes)) {
          const event = this.#read(line, retries);
          if (event === null) continue;
          yield event;
          // An answer that is read to its end leaves its connection for others.
          if (event.type === "finished") late = setTimeout(opened.close, END_TIMEOUT * 1000);
        }
        if (this.#execution !== null || (await this.#isOver())) return;
        throw mayRetry(new ConnectionFailed("the stream ended before the execution was finished"));
      } catch (problem) {
        if (this.#execution !== null) return;
        if (!(problem instanceof TCIError)) throw problem;
        await pause(this.#again(problem, retries, accepted), signal);
      } finally {
        clearTimeout(late);
        opened?.close();
      }
    }
  }

  /** Whether a stream that ends at once is in order: its caller knew the last event already. */
  async #isOver(): Promise<boolean> {
    const { look, after } = this.#start;
    if (look === undefined || this.#seq !== (after ?? 0)) return false;
    const execution = new Execution(await this.#transport.json(look));
    if (execution.done) this.#execution = execution;
    return execution.done;
  }

  /** The event of a line; null: there is none, or it was read before. */
  #read(line: string, retries: Retries): ExecutionEvent | null {
    const wire = eventOf(line);
    if (wire.raw["seq"] == null) return null; // a keepalive
    const seq = wire.number("seq");
    if (seq <= this.#seq || this.#execution !== null) return null;
    const event = readEvent(wire, seq);
    if (seq !== this.#seq + 1 && event.type !== "truncated") {
      throw new InfraError(`the daemon sent event ${String(seq)} after event ${String(this.#seq)}`);
    }
    this.#seq = seq;
    retries.progressed();
    if (event.type === "finished") {
      this.#execution = event.execution;
      this.#executionId = event.execution.id;
    }
    return event;
  }

  /** The seconds to wait before going on; throws when that has no sense. */
  #again(problem: TCIError, retries: Retries, accepted: boolean): number {
    const wait = retries.pause(problem);
    if (wait !== undefined) return wait;
    if (!accepted || this.#executionId === null) throw problem;
    throw new StreamBroken(
      `the stream of execution ${this.#executionId} broke after event ${String(this.#seq)} and can't go on ` +
        `(${problem.message}); executions.get(${JSON.stringify(this.#executionId)}) tells what became of it`,
      this.#executionId,
      this.#seq,
      { cause: problem },
    );
  }
}

function eventOf(line: string): Wire {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new InfraError(`the daemon sent a line that is no JSON: ${line.slice(0, 200)}`, { cause });
  }
  return new Wire(value, "an event");
}
