/**
 * Watches one try of a request: it is aborted when its caller says so, or when
 * nothing has moved for too long.
 */
export class Watch {
  /** Set when the silence was too long. */
  silent = false;
  readonly #controller = new AbortController();
  readonly #seconds: number;
  readonly #outer: AbortSignal | undefined;
  readonly #forward = (): void => {
    this.#controller.abort(this.#outer?.reason);
  };
  #stopped = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Starts; `seconds` bound each silence. */
  constructor(seconds: number, outer: AbortSignal | undefined) {
    this.#seconds = seconds;
    this.#outer = outer;
    outer?.addEventListener("abort", this.#forward);
    if (outer?.aborted) this.#forward();
    else this.#wind();
  }

  /** The signal for the connection. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What arrives; the time that its reader takes doesn't count. */
  async *over(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.#wind();
    for await (const chunk of chunks) {
      this.#rest();
      yield chunk;
      this.#wind();
    }
    this.#rest();
  }

  /** What is sent; the time that its source takes doesn't count. */
  async *feed(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.#rest();
    for await (const chunk of chunks) {
      this.#wind();
      yield chunk;
      this.#rest();
    }
    this.#wind();
  }

  /** Ends the try. */
  abort(): void {
    this.stop();
    this.#controller.abort();
  }

  /** Watches no longer. */
  stop(): void {
    this.#stopped = true;
    this.#rest();
    this.#outer?.removeEventListener("abort", this.#forward);
  }

  #wind(): void {
    this.#rest();
    // A source may go on for a moment after the end.
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.silent = true;
      this.#controller.abort();
    }, this.#seconds * 1000);
  }

  #rest(): void {
    clearTimeout(this.#timer);
  }
}
