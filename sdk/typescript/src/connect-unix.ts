import { Agent, request, type IncomingMessage } from "node:http";

import { Broken, type Answer, type Connector, type Exchange } from "./exchange.js";

const IDLE_CONNECTIONS = 16;

/** HTTP over a Unix socket. */
export class UnixConnector implements Connector {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: IDLE_CONNECTIONS });

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  close(): void {
    this.#agent.destroy();
  }

  async send(exchange: Exchange): Promise<Answer> {
    const { body, signal } = exchange;
    const streamed = body !== undefined && !(body instanceof Uint8Array);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      let connected = false;
      const sending = request({
        socketPath: this.#socketPath,
        agent: this.#agent,
        method: exchange.method,
        path: exchange.target,
        headers: {
          Host: "localhost",
          ...exchange.headers,
          ...(streamed ? { Expect: "100-continue" } : { "Content-Length": body?.byteLength ?? 0 }),
        },
        signal,
      });
      sending.on("socket", (socket) => {
        if (!socket.connecting) connected = true;
        else socket.once("connect", () => (connected = true));
      });
      sending.on("response", resolve);
      // After the answer's head has come, this rejects nothing any more.
      sending.on("error", (error) => {
        reject(signal.aborted ? reasonOf(signal) : new Broken(error, connected));
      });
      if (!streamed) {
        sending.end(body);
        return;
      }
      // A daemon that refuses does so before it reads, and is heard.
      sending.flushHeaders();
      sending.on("continue", () => {
        const write = async (): Promise<void> => {
          for await (const chunk of body) {
            if (sending.destroyed) return;
            if (!sending.write(chunk)) await drained(sending);
          }
          sending.end();
        };
        write().catch((error: unknown) => {
          reject(error instanceof Error ? error : new Error(String(error)));
          sending.destroy();
        });
      });
    });
    return {
      status: response.statusCode ?? 0,
      header: (name) => {
        const value = response.headers[name.toLowerCase()];
        return Array.isArray(value) ? value.join(", ") : value;
      },
      body: read(response, signal),
    };
  }
}

async function* read(response: IncomingMessage, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array;
  } catch (error) {
    throw signal.aborted ? reasonOf(signal) : new Broken(error, true);
  } finally {
    // Nothing happens when the answer was read to its end.
    response.destroy();
  }
}

/** Waits until more can be written, or nothing can be any more. */
function drained(sending: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      sending.off("drain", done).off("close", done);
      resolve();
    };
    sending.on("drain", done).on("close", done);
  });
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason as Error;
}
