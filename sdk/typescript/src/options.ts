// Checks of arguments before they are sent, and the shapes that they get.

/** Values that JSON can carry. */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Files for a request: name to content, or the wire's list of objects. */
export type FilesInput =
  | Readonly<Record<string, string | Uint8Array>>
  | readonly { readonly name: string; readonly encoding: "string" | "base64"; readonly content: string }[];

/** A name on the wire, and what makes the wire's value of an option. */
export type Field = readonly [wire: string, encode: (name: string, value: unknown) => unknown];

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Makes the wire's object of options. Those that are undefined or null are left
 * out; unknown ones are a TypeError.
 */
export function encodeOptions(
  options: object,
  fields: Readonly<Record<string, Field>>,
  ignored: readonly string[] = [],
): Record<string, unknown> {
  record("options", options);
  const body: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (ignored.includes(name)) continue;
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) {
      const known = [...Object.keys(fields), ...ignored].sort().join(", ");
      throw new TypeError(`unknown option ${JSON.stringify(name)}; known are ${known}`);
    }
    if (value !== undefined && value !== null) body[field[0]] = field[1](name, value);
  }
  return body;
}

/** An object that is used as a record. */
export function record<T extends object>(name: string, value: T): T {
  if (!isRecord(value)) throw new TypeError(`${name} must be an object, not ${kindOf(value)}`);
  return value;
}

/** A string that is not empty. */
export function text(name: string, value: unknown): string {
  if (string(name, value) === "") throw new RangeError(`${name} must not be empty`);
  return value as string;
}

/** A string. */
export function string(name: string, value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`${name} must be a string, not ${kindOf(value)}`);
  return value;
}

/** What can stand in a header: 1 to 255 visible characters of ASCII. */
export function word(name: string, value: unknown): string {
  const given = text(name, value);
  if (!/^[!-~]{1,255}$/.test(given))
    throw new RangeError(`${name} must be 1 to 255 visible ASCII characters`);
  return given;
}

/** A finite number of seconds, not below 0. */
export function seconds(name: string, value: unknown): number {
  if (typeof value !== "number")
    throw new TypeError(`${name} must be a number of seconds, not ${kindOf(value)}`);
  if (!Number.isFinite(value) || value < 0)
    throw new RangeError(`${name} must be a finite number, not below 0`);
  return value;
}

/** A whole number, not below 0. */
export function count(name: string, value: unknown): number {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${kindOf(value)}`);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`${name} must be a whole number, not below 0`);
  return value;
}

/** A true or false. */
export function flag(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw new TypeError(`${name} must be true or false, not ${kindOf(value)}`);
  return value;
}

/** An object of strings. */
export function strings(name: string, value: unknown): Record<string, string> {
  if (!isRecord(value)) throw new TypeError(`${name} must be an object of strings, not ${kindOf(value)}`);
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== "string") throw new TypeError(`${name}.${key} must be a string, not ${kindOf(item)}`);
  }
  return { ...value } as Record<string, string>;
}

/** Files for a JSON body. */
export function inlineFiles(name: string, value: unknown): unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  if (!isRecord(value))
    throw new TypeError(`${name} must be an object of name to content, or a list of objects`);
  return Object.entries(value).map(([path, content]) => {
    if (typeof content === "string") return { name: path, encoding: "string", content };
    if (content instanceof Uint8Array) return { name: path, encoding: "base64", content: base64(content) };
    throw new TypeError(
      `${name}[${JSON.stringify(path)}] must be a string or a Uint8Array, not ${kindOf(content)}`,
    );
  });
}

/** An object whose fields have other names on the wire. */
export function renamed(fields: Readonly<Record<string, Field>>): Field[1] {
  return (name, value) => {
    if (!isRecord(value)) throw new TypeError(`${name} must be an object, not ${kindOf(value)}`);
    return encodeOptions(value, fields);
  };
}

/** Base64 of bytes. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/**
 * JSON in UTF-8. What JSON can't carry is refused here, since it would arrive as
 * something else: lone surrogates, NaN and infinities.
 */
export function encodeJson(body: unknown): Uint8Array {
  const json = JSON.stringify(body, (key, value: unknown) => {
    if (LONE_SURROGATE.test(key)) throw new TypeError("text with a lone surrogate can't be sent");
    if (typeof value === "string") wellFormed(value);
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw new RangeError(`${key || "a number"} is ${String(value)}, which JSON can't carry`);
    }
    return value;
  });
  return new TextEncoder().encode(json);
}

/** Throws a TypeError for text that UTF-8 can't carry. */
export function wellFormed(value: string): string {
  if (LONE_SURROGATE.test(value)) throw new TypeError("text with a lone surrogate can't be sent");
  return value;
}

/** True for objects that are used as records. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

/** What a value is, for messages. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return typeof value;
  const name = (Object.getPrototypeOf(value) as object | null)?.constructor.name ?? "Object";
  return name === "Object" ? "an object" : name;
}
