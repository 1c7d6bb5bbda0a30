import { ConnectionFailed, type TCIError } from "./errors.js";

/** How many times a request is sent again when nobody says otherwise. */
export const DEFAULT_MAX_RETRIES = 5;
/** Seconds after the first failure within which the last try begins. */
export const MAX_RETRY_SECONDS = 60;
/**
 * Seconds before the second try; each further pause is twice as long. Short, so
 * that an execution whose client is gone is not cancelled meanwhile, and so that a
 * daemon that restarts is seen to be away.
 */
const FIRST_PAUSE = 0.1;
const LONGEST_PAUSE = 2;

/** The errors after which the same request may go well. */
const worthwhile = new WeakSet<TCIError>();

/** Marks an error as one after which the same request may go well. */
export function mayRetry<E extends TCIError>(error: E): E {
  worthwhile.add(error);
  return error;
}

/** Decides about the tries of one request. */
export class Retries {
  readonly #limit: number;
  readonly #again: boolean;
  readonly #keyed: boolean;
  #count = 0;
  #since: number | undefined;
  #sent = false;

  /**
   * `limit`: the most tries after the first. `again`: whether the request may be
   * sent again though the daemon may have carried it out. `keyed`: it carries an
   * Idempotency-Key, so that only a daemon which has forgotten the key would carry
   * it out twice.
   */
  constructor(limit: number, how: { again: boolean; keyed: boolean }) {
    this.#limit = limit;
    this.#again = how.again;
    this.#keyed = how.keyed;
  }

  /** Something came of it: the count starts anew. */
  progressed(): void {
    this.#count = 0;
    this.#since = undefined;
  }

  /** Seconds to wait before the next try; undefined: there is none. */
  pause(error: TCIError): number | undefined {
    const now = performance.now() / 1000;
    this.#since ??= now;
    if (this.#count >= this.#limit || !this.#allowed(error)) return undefined;
    // Some of chance, so that clients spread.
    const chosen = Math.min(FIRST_PAUSE * 2 ** this.#count, LONGEST_PAUSE) * (0.75 + Math.random() / 2);
    const wait = Math.max(chosen, error.retryAfter ?? 0);
    if (now + wait > this.#since + MAX_RETRY_SECONDS) return undefined;
    this.#count += 1;
    return wait;
  }

  #allowed(error: TCIError): boolean {
    if (!worthwhile.has(error)) return false;
    if (!(error instanceof ConnectionFailed)) return true; // the daemon's word that nothing was started
    if (!error.sent) {
      // A daemon that has gone since then may have taken what it knew of the key
      // with it, and the next one would run the code again.
      return !(this.#sent && this.#keyed);
    }
    this.#sent = true;
    return this.#again;
  }
}

/** The seconds of a Retry-After, which may be a date; undefined when it is neither. */
export function parseRetryAfter(header: string | undefined, now: number = Date.now()): number | undefined {
  if (header === undefined || header.trim() === "") return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}

/** Waits so many seconds; rejects with the signal's reason. */
export function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      if (signal?.aborted) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}
