import { existsSync } from "node:fs";
import { join } from "node:path";

import { text, wellFormed } from "./options.js";

const SYSTEM_SOCKET = "/run/tcid/tcid.sock";
const FALLBACK = "http://127.0.0.1:8787";

/** Where a daemon is. */
export type Address =
  | { readonly kind: "unix"; readonly socketPath: string }
  | { readonly kind: "tcp"; /** Origin and path, without a slash at the end. */ readonly root: string };

/**
 * Where the daemon is when nobody says so: `$TCI_BASE_URL`, the system's socket,
 * the user's, or TCP on loopback.
 */
export function defaultBaseUrl(
  env: Readonly<Record<string, string | undefined>> = process.env,
  exists: (path: string) => boolean = existsSync,
): string {
  if (env["TCI_BASE_URL"]) return env["TCI_BASE_URL"];
  const candidates = [SYSTEM_SOCKET];
  if (env["XDG_RUNTIME_DIR"]) candidates.push(join(env["XDG_RUNTIME_DIR"], "tcid", "tcid.sock"));
  const found = candidates.find((path) => exists(path));
  return found === undefined ? FALLBACK : `unix://${found}`;
}

/** Reads a base URL. Throws a TypeError that says what it must look like. */
export function parseBaseUrl(baseUrl: string): Address {
  if (baseUrl.startsWith("unix://")) {
    const socketPath = baseUrl.slice("unix://".length);
    if (!socketPath.startsWith("/")) {
      throw new TypeError(
        `baseUrl ${JSON.stringify(baseUrl)} names no socket; write unix:///path/to/tcid.sock`,
      );
    }
    return { kind: "unix", socketPath };
  }
  let url: URL | undefined;
  try {
    url = new URL(baseUrl);
  } catch {
    // told below
  }
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    throw new TypeError(`baseUrl ${JSON.stringify(baseUrl)} must begin with http://, https:// or unix://`);
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new TypeError("baseUrl must hold no user, password, query or fragment; a key goes into apiKey");
  }
  return { kind: "tcp", root: url.origin + url.pathname.replace(/\/+$/, "") };
}

/** Encodes one segment of a path. */
export function segment(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Encodes an id. The two that URLs can't hold, however they are encoded, are a RangeError. */
export function idSegment(name: string, id: unknown): string {
  const given = wellFormed(text(name, id));
  if (given === "." || given === "..") throw new RangeError(`${name} ${JSON.stringify(given)} is no id`);
  return segment(given);
}

/** Encodes the path of a file. */
export function fileSegments(path: string): string {
  // As in a file system, slashes that stand together are one, and a dot is nothing.
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length === 0) return "%2F";
  if (/\/\.?$/.test(path)) parts.push("");
  // A leading slash is kept, in a form that survives: the daemon knows absolute
  // paths below the workspace. URLs would resolve dots between slashes, also encoded
  // ones: then no slash is left as it is, and the daemon sees and refuses them.
  const dotted = parts.includes("..");
  const root = dotted || path.startsWith("/") ? "%2F" : "";
  return root + parts.map(segment).join(dotted ? "%2F" : "/");
}
