import type { JsonValue } from "./options.js";
import { Execution, testResult, type MimeBundle, type TestResult } from "./models.js";
import { Wire } from "./wire.js";

/** What all events have. */
interface Numbered {
  /** Counts from 1 without gaps. */
  readonly seq: number;
  /** When it happened: RFC 3339 in UTC; null where the daemon doesn't say. */
  readonly time: string | null;
}

/** The execution left the queue. */
export interface StartedEvent extends Numbered {
  /** The kind of event. */
  readonly type: "started";
  /** The execution's id. */
  readonly executionId: string;
  /** The session's id. */
  readonly sessionId: string;
}

/** A piece of standard output. Pieces end anywhere, not only at lines. */
export interface StdoutEvent extends Numbered {
  /** The kind of event. */
  readonly type: "stdout";
  /** The text. */
  readonly text: string;
}

/** A piece of standard error. */
export interface StderrEvent extends Numbered {
  /** The kind of event. */
  readonly type: "stderr";
  /** The text. */
  readonly text: string;
}

/** Something was displayed. */
export interface DisplayDataEvent extends Numbered {
  /** The kind of event. */
  readonly type: "display_data";
  /** MIME type to value. */
  readonly data: MimeBundle;
  /** What belongs to `data`. */
  readonly metadata: Readonly<Record<string, JsonValue>>;
  /** Its name, where it can be updated, else null. */
  readonly displayId: string | null;
}

/** The value of the last expression, as it is displayed. */
export interface ExecuteResultEvent extends Numbered {
  /** The kind of event. */
  readonly type: "execute_result";
  /** MIME type to value. */
  readonly data: MimeBundle;
  /** What belongs to `data`. */
  readonly metadata: Readonly<Record<string, JsonValue>>;
  /** Its name, where it can be updated, else null. */
  readonly displayId: string | null;
}

/** `data` takes the place of what was displayed as `displayId`. */
export interface UpdateDisplayDataEvent extends Numbered {
  /** The kind of event. */
  readonly type: "update_display_data";
  /** MIME type to value. */
  readonly data: MimeBundle;
  /** What belongs to `data`. */
  readonly metadata: Readonly<Record<string, JsonValue>>;
  /** The display's name. */
  readonly displayId: string | null;
}

/** What was shown so far is to go. */
export interface ClearOutputEvent extends Numbered {
  /** The kind of event. */
  readonly type: "clear_output";
  /** Whether only when more comes. */
  readonly wait: boolean;
}

/** The code raised, or something ended it. */
export interface ErrorEvent extends Numbered {
  /** The kind of event. */
  readonly type: "error";
  /** The exception's class or the daemon's word. */
  readonly name: string;
  /** Its text. */
  readonly value: string;
  /** The traceback. */
  readonly traceback: readonly string[];
}

/** A test was judged. */
export interface TestEvent extends Numbered {
  /** The kind of event. */
  readonly type: "test";
  /** The verdict. */
  readonly test: TestResult;
}

/**
 * The `events` up to this one's `seq` are no longer kept: the reader was too slow,
 * or came too late. The execution in `finished` has the output.
 */
export interface TruncatedEvent extends Numbered {
  /** The kind of event. */
  readonly type: "truncated";
  /** How many are missing. */
  readonly events: number;
}

/** The end: always the last event. */
export interface FinishedEvent extends Numbered {
  /** The kind of event. */
  readonly type: "finished";
  /** What became of it. */
  readonly execution: Execution;
}

/** An event of a kind that this version doesn't know. */
export interface OtherEvent extends Numbered {
  /** The kind of event. */
  readonly type: "other";
  /** The daemon's word for it. */
  readonly kind: string;
  /** The daemon's object. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** An event of an execution; `type` says which. */
export type ExecutionEvent =
  | StartedEvent
  | StdoutEvent
  | StderrEvent
  | DisplayDataEvent
  | ExecuteResultEvent
  | UpdateDisplayDataEvent
  | ClearOutputEvent
  | ErrorEvent
  | TestEvent
  | TruncatedEvent
  | FinishedEvent
  | OtherEvent;

/** Reads an event that has a number. Texts that are empty are left out by the daemon. @internal */
export function readEvent(wire: Wire, seq: number): ExecutionEvent {
  const common: Numbered = { seq, time: wire.optional("time", "string") };
  const type = wire.string("type");
  switch (type) {
    case "started":
      return {
        ...common,
        type,
        executionId: wire.optional("execution_id", "string") ?? "",
        sessionId: wire.optional("session_id", "string") ?? "",
      };
    case "stdout":
    case "stderr":
      return { ...common, type, text: wire.optional("text", "string") ?? "" };
    case "display_data":
    case "execute_result":
    case "update_display_data":
      return {
        ...common,
        type,
        data: wire.object("data").raw as MimeBundle,
        metadata: (wire.optional("metadata", "object")?.raw ?? {}) as Record<string, JsonValue>,
        displayId: wire.optional("display_id", "string"),
      };
    case "clear_output":
      return { ...common, type, wait: wire.optional("wait", "boolean") ?? false };
    case "error":
      return {
        ...common,
        type,
        name: wire.optional("name", "string") ?? "",
        value: wire.optional("value", "string") ?? "",
        traceback: wire.optional("traceback", "strings") ?? [],
      };
    case "test":
      return { ...common, type, test: testResult(wire.object("test")) };
    case "truncated":
      return { ...common, type, events: wire.number("events") };
    case "finished":
      return { ...common, type, execution: new Execution(wire.raw["execution"]) };
    default:
      return { ...common, type: "other", kind: type, raw: wire.raw };
  }
}
