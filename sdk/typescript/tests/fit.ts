// The patterns of test/conformance/README.md.

const NEAR = 1e-9;

/** A step did not do what it should. */
export class Mismatch extends Error {}

type Json = Record<string, unknown>;

/** True for what JSON calls an object. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Throws a Mismatch unless the value fits the pattern. */
export function fit(pattern: unknown, value: unknown, where = ""): void {
  const fail = (wanted: string): Mismatch => {
    const got = value === undefined ? "undefined" : JSON.stringify(value);
    return new Mismatch(`${where || "the answer"} is ${got.slice(0, 500)}, wanted ${wanted.slice(0, 500)}`);
  };
  if (isObject(pattern)) {
    const word = Object.keys(pattern).find((key) => key.startsWith("$"));
    if (word !== undefined) {
      if (!special(word, pattern[word], value)) throw fail(`${word} ${JSON.stringify(pattern[word])}`);
      return;
    }
    if (!isObject(value)) throw fail(`an object with ${Object.keys(pattern).join(", ")}`);
    for (const [key, part] of Object.entries(pattern)) {
      if (!(key in value)) throw new Mismatch(`${where || "the answer"} has no ${JSON.stringify(key)}`);
      fit(part, value[key], where === "" ? key : `${where}.${key}`);
    }
  } else if (Array.isArray(pattern)) {
    if (!Array.isArray(value) || value.length !== pattern.length)
      throw fail(`${String(pattern.length)} items`);
    pattern.forEach((part, i) => {
      fit(part, value[i], `${where}[${String(i)}]`);
    });
  } else if (!same(pattern, value)) {
    throw fail(JSON.stringify(pattern));
  }
}

/** Applies a pattern with a `$`. */
function special(word: string, operand: unknown, value: unknown): boolean {
  switch (word) {
    case "$equal":
      return same(operand, value);
    case "$contains":
      return (Array.isArray(value) ? value : [value]).some(
        (item) => typeof item === "string" && item.includes(operand as string),
      );
    case "$match":
      return typeof value === "string" && new RegExp(operand as string, "u").test(value);
    case "$near":
      return typeof value === "number" && Math.abs(value - (operand as number)) < NEAR;
    case "$above":
      return typeof value === "number" && value > (operand as number);
    default:
      throw new Mismatch(`this runner does not know ${word}`);
  }
}

/** Equality of JSON values. */
function same(a: unknown, b: unknown): boolean {
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  return a === b;
}
