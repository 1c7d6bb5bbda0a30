/// <reference lib="esnext.disposable" preserve="true" />

/** `Symbol.asyncDispose`, which Node.js before 18.18 doesn't have. */
export const asyncDispose: typeof Symbol.asyncDispose =
  (Symbol as { asyncDispose?: typeof Symbol.asyncDispose }).asyncDispose ??
  (Symbol.for("Symbol.asyncDispose") as typeof Symbol.asyncDispose);
