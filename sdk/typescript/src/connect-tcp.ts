import { Broken, type Answer, type Connector, type Exchange } from "./exchange.js";

/** HTTP over TCP, by the platform's fetch. */
export class FetchConnector implements Connector {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  close(): void {
    // fetch closes its idle connections by itself.
  }

  async send(exchange: Exchange): Promise<Answer> {
    const { method, headers, body, signal } = exchange;
    const init: RequestInit & { duplex?: "half" } = {
      method,
      headers,
      signal,
      // A daemon redirects nothing, and the key is for it alone.
      redirect: "manual",
    };
    if (body instanceof Uint8Array) {
      init.body = body;
    } else if (body !== undefined) {
      init.body = stream(body);
      init.duplex = "half";
    }
    let response: Response;
    try {
      response = await fetch(this.#root + exchange.target, init);
    } catch (error) {
      throw signal.aborted ? (signal.reason as Error) : new Broken(error, undefined);
    }
    return {
      status: response.status,
      header: (name) => response.headers.get(name) ?? undefined,
      body: read(response, signal),
    };
  }
}

async function* read(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const piece = (await reader.read()) as { done: boolean; value?: Uint8Array };
      if (piece.done || piece.value === undefined) return;
      yield piece.value;
    }
  } catch (error) {
    throw signal.aborted ? (signal.reason as Error) : new Broken(error, true);
  } finally {
    // Closes the connection when the answer was not read to its end.
    reader.cancel().catch(() => undefined);
  }
}

function stream(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await iterator.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
