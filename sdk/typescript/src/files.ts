import { fileSegments, idSegment } from "./address.js";
import { File, fileInfo, type FileInfo } from "./models.js";
import { count, kindOf, string, text, wellFormed } from "./options.js";
import type { CallOptions } from "./specs.js";
import { HEARTBEAT_TIMEOUT, type Call, type Transport } from "./transport.js";
import { Wire } from "./wire.js";

/** Bytes that are sent at a time, so that a slow upload is told from a dead one. */
const PIECE = 256 * 1024;

/**
 * What can be uploaded: bytes (a Buffer too), text, which is sent as UTF-8, or a
 * source of bytes, such as `fs.createReadStream(path)`.
 */
export type Content = Uint8Array | string | AsyncIterable<Uint8Array>;

/** Options of uploads. */
export interface UploadOptions extends CallOptions {
  /** Permission bits, such as `0o755`; `0o644` by default. */
  mode?: number | undefined;
  /** False refuses to replace a file (ConflictError). */
  overwrite?: boolean | undefined;
}

/** Options of lists of files. */
export interface ListFilesOptions extends CallOptions {
  /** Also what is below. */
  recursive?: boolean | undefined;
}

/** Options of removing files. */
export interface DeleteFileOptions extends CallOptions {
  /** Also a directory that is not empty. */
  recursive?: boolean | undefined;
}

/**
 * `client.files`. Paths are relative to the session's workspace; `/workspace/x`
 * and `/x` both mean the file `x` in it.
 */
export class Files {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Writes a file, whole or not at all; its directories are made. Returns true.
   *
   * Throws a SessionNotFound, or an InvalidRequestError: the path leads outside, or
   * there is no space. What comes from a source is not sent again after a break.
   */
  async upload(
    sessionId: string,
    remotePath: string,
    content: Content,
    options: UploadOptions = {},
  ): Promise<true> {
    const { mode, overwrite = true, signal } = options;
    const bytes = typeof content === "string" ? new TextEncoder().encode(wellFormed(content)) : content;
    let body: Call["body"];
    if (!(bytes instanceof Uint8Array)) {
      if (!isSource(bytes)) {
        throw new TypeError(
          `content must be a Uint8Array, a string or a source of bytes, not ${kindOf(bytes)}`,
        );
      }
      body = () => checked(bytes);
    } else {
      body = bytes.byteLength <= PIECE ? bytes : () => pieces(bytes);
    }
    const headers: Record<string, string> = { "Content-Type": "application/octet-stream" };
    if (!overwrite) headers["If-None-Match"] = "*";
    const query = mode === undefined ? {} : { mode: count("mode", mode).toString(8).padStart(4, "0") };
    await this.#transport.bytes({
      method: "PUT",
      path: filePath(sessionId, remotePath),
      body,
      headers,
      query,
      wait: HEARTBEAT_TIMEOUT,
      // What a source gave it can't give again, and a file that is there may be
      // this very one.
      again: bytes instanceof Uint8Array && overwrite,
      signal,
    });
    return true;
  }

  /**
   * Reads a file. `name` of what is returned is `remotePath` as it was given.
   * Throws a RemoteFileNotFound or a SessionNotFound.
   */
  async download(sessionId: string, remotePath: string, options: CallOptions = {}): Promise<File> {
    const content = await this.#transport.bytes({
      method: "GET",
      path: filePath(sessionId, remotePath),
      wait: HEARTBEAT_TIMEOUT,
      signal: options.signal,
    });
    return new File(remotePath, content);
  }

  /** Lists a directory, sorted by path; the workspace when `path` is left out. */
  async list(sessionId: string, path = "", options: ListFilesOptions = {}): Promise<FileInfo[]> {
    const query: Record<string, string> = {};
    if (string("path", path) !== "") query["path"] = path;
    if (options.recursive) query["recursive"] = "true";
    const call: Call = { method: "GET", path: filesPath(sessionId), query, signal: options.signal };
    return new Wire(await this.#transport.json(call), "a list of files").objects("data").map(fileInfo);
  }

  /** Removes a file, or with `recursive` a directory. Returns true. */
  async delete(sessionId: string, remotePath: string, options: DeleteFileOptions = {}): Promise<true> {
    await this.#transport.bytes({
      method: "DELETE",
      path: filePath(sessionId, remotePath),
      query: options.recursive ? { recursive: "true" } : {},
      // Sent again, it would not find what it has removed.
      again: false,
      signal: options.signal,
    });
    return true;
  }
}

/** The files of one session: `session.files`. */
export class SessionFiles {
  readonly #files: Files;
  readonly #sessionId: string;

  /** @internal */
  constructor(files: Files, sessionId: string) {
    this.#files = files;
    this.#sessionId = sessionId;
  }

  /** See {@link Files.upload}. */
  upload(remotePath: string, content: Content, options: UploadOptions = {}): Promise<true> {
    return this.#files.upload(this.#sessionId, remotePath, content, options);
  }

  /** See {@link Files.download}. */
  download(remotePath: string, options: CallOptions = {}): Promise<File> {
    return this.#files.download(this.#sessionId, remotePath, options);
  }

  /** See {@link Files.list}. */
  list(path = "", options: ListFilesOptions = {}): Promise<FileInfo[]> {
    return this.#files.list(this.#sessionId, path, options);
  }

  /** See {@link Files.delete}. */
  delete(remotePath: string, options: DeleteFileOptions = {}): Promise<true> {
    return this.#files.delete(this.#sessionId, remotePath, options);
  }
}

function filesPath(sessionId: string): string {
  return `/v1/sessions/${idSegment("sessionId", sessionId)}/files`;
}

function filePath(sessionId: string, remotePath: string): string {
  return `${filesPath(sessionId)}/${fileSegments(wellFormed(text("remotePath", remotePath)))}`;
}

function isSource(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

async function* checked(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source as AsyncIterable<unknown>) {
    if (!(chunk instanceof Uint8Array))
      throw new TypeError(`a source must give Uint8Arrays, not ${kindOf(chunk)}`);
    yield chunk;
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- as sources are
async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += PIECE) yield bytes.subarray(at, at + PIECE);
}
