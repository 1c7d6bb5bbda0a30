/**
 * Run Python in isolated sessions of a tcid daemon.
 *
 * ```ts
 * import { TCIClient } from "@tci/sdk";
 *
 * const tci = new TCIClient();
 * const session = await tci.sessions.create();
 * console.log((await session.run("1 + 1")).result); // 2
 * await session.close();
 * ```
 *
 * @packageDocumentation
 */

export { run, TCIClient, type ClientOptions, type Image } from "./client.js";
export {
  AuthenticationError,
  CapacityError,
  ConflictError,
  ConnectionFailed,
  EventsGone,
  ExecutionError,
  InfraError,
  InvalidRequestError,
  NotFoundError,
  RemoteFileNotFound,
  SessionNotFound,
  StreamBroken,
  TCIError,
  type ErrorDetails,
} from "./errors.js";
export type {
  ClearOutputEvent,
  DisplayDataEvent,
  ErrorEvent,
  ExecuteResultEvent,
  ExecutionEvent,
  FinishedEvent,
  OtherEvent,
  StartedEvent,
  StderrEvent,
  StdoutEvent,
  TestEvent,
  TruncatedEvent,
  UpdateDisplayDataEvent,
} from "./events.js";
export type { Executions, ResumeOptions } from "./executions.js";
export type {
  Content,
  DeleteFileOptions,
  Files,
  ListFilesOptions,
  SessionFiles,
  UploadOptions,
} from "./files.js";
export {
  Execution,
  File,
  type ExecutionFailure,
  type ExecutionStatus,
  type FileChange,
  type FileInfo,
  type MimeBundle,
  type Output,
  type Receipt,
  type TestResult,
} from "./models.js";
export type { FilesInput, JsonValue } from "./options.js";
export {
  Session,
  type Completions,
  type CompleteOptions,
  type IsComplete,
  type Isolation,
  type Resources,
  type SessionState,
} from "./session.js";
export type { ListSessionsOptions, Sessions } from "./sessions.js";
export type {
  CallOptions,
  CreateOptions,
  Grading,
  KeyedOptions,
  ResourcesInput,
  RunOnceParams,
  RunOptions,
  RunParams,
  SessionSpec,
  StreamOnceParams,
  StreamOptions,
  StreamParams,
  TestInput,
  UpdateOptions,
} from "./specs.js";
export { ExecutionStream } from "./stream.js";
export { version } from "./version.js";
