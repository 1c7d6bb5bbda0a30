// Reading what the daemon answers. Fields that are not there, or not of their
// kind, are the fault of what answered; fields that are not known are left alone.

import { InfraError } from "./errors.js";
import { isRecord, kindOf } from "./options.js";

type Kind = "string" | "number" | "boolean" | "strings" | "object" | "objects";

/** An object of the wire, with what it should be for messages. */
export class Wire {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly #what: string;

  /** Throws an InfraError unless the value is an object. */
  constructor(value: unknown, what: string) {
    if (!isRecord(value)) throw new InfraError(`the daemon's answer is not ${what} but ${kindOf(value)}`);
    this.raw = value;
    this.#what = what;
  }

  string(key: string): string {
    const value = this.raw[key];
    return typeof value === "string" ? value : this.#wrong(key, "a string");
  }

  number(key: string): number {
    const value = this.raw[key];
    return typeof value === "number" ? value : this.#wrong(key, "a number");
  }

  boolean(key: string): boolean {
    const value = this.raw[key];
    return typeof value === "boolean" ? value : this.#wrong(key, "true or false");
  }

  strings(key: string): string[] {
    const value = this.raw[key];
    const fits = Array.isArray(value) && value.every((item) => typeof item === "string");
    return fits ? value : this.#wrong(key, "an array of strings");
  }

  objects(key: string): Wire[] {
    const value = this.raw[key];
    if (!Array.isArray(value)) return this.#wrong(key, "an array");
    return value.map((item) => new Wire(item, `${this.#what} (${key})`));
  }

  object(key: string): Wire {
    return new Wire(this.raw[key], `${this.#what} (${key})`);
  }

  /** Null where the field is null or left out. */
  optional<K extends Kind>(key: string, kind: K): ReturnType<Wire[K]> | null {
    return this.raw[key] == null ? null : (this[kind](key) as ReturnType<Wire[K]>);
  }

  #wrong(key: string, wanted: string): never {
    throw new InfraError(
      `the daemon's answer is not ${this.#what}: ${key} is ${kindOf(this.raw[key])}, not ${wanted}`,
    );
  }
}
