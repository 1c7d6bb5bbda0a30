// Arguments, addresses, and what executions show; nothing is sent here.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as sdk from "../src/index.js";
import { defaultBaseUrl, fileSegments, parseBaseUrl, segment } from "../src/address.js";
import { lines } from "../src/lines.js";
import { Execution, ExecutionError, InfraError, TCIClient } from "../src/index.js";
import { encodeJson } from "../src/options.js";
import { parseRetryAfter } from "../src/retry.js";
import { cutMiddle } from "../src/text.js";
import { version } from "../src/version.js";
import { EXECUTION } from "./fake.js";

const client = new TCIClient({ apiKey: "k", baseUrl: "unix:///nowhere/at/all" });

test("wrong arguments are told before anything is sent", async () => {
  // What a program without types may hand over.
  const any = (value: unknown): never => value as never;
  const cases: [() => Promise<unknown>, RegExp, typeof TypeError | typeof RangeError][] = [
    [() => client.sessions.get(""), /sessionId must not be empty/, RangeError],
    [() => client.sessions.get(any(5)), /sessionId must be a string, not number/, TypeError],
    [() => client.sessions.get(".."), /sessionId ".." is no id/, RangeError],
    [() => client.executions.get(any(null)), /executionId must be a string, not null/, TypeError],
    [
      () => client.sessions.create(any({ idle_timeout: 5 })),
      /unknown option "idle_timeout"; known are .*idleTimeout/,
      TypeError,
    ],
    [
      () => client.sessions.create({ resources: any({ memory_mb: 5 }) }),
      /unknown option "memory_mb"/,
      TypeError,
    ],
    [() => client.sessions.create({ ttl: -1 }), /ttl must be a finite number, not below 0/, RangeError],
    [() => client.sessions.create({ ttl: NaN }), /ttl must be a finite number/, RangeError],
    [
      () => client.sessions.create({ ttl: any("5") }),
      /ttl must be a number of seconds, not string/,
      TypeError,
    ],
    [() => client.sessions.create({ env: any({ A: 1 }) }), /env.A must be a string, not number/, TypeError],
    [() => client.sessions.create({ files: any("x") }), /files must be an object/, TypeError],
    [
      () => client.sessions.create({ files: any({ a: 1 }) }),
      /files\["a"\] must be a string or a Uint8Array/,
      TypeError,
    ],
    [() => client.sessions.create({ idempotencyKey: "a b" }), /idempotencyKey must be 1 to 255/, RangeError],
    [() => client.sessions.create({ idempotencyKey: "x\r\nEvil: 1" }), /visible ASCII/, RangeError],
    [() => client.sessions.create(any("python")), /options must be an object, not string/, TypeError],
    [() => client.sessions.closeAll({}), /at least one label/, RangeError],
    [() => client.run({ code: any(undefined) }), /code must be a string, not undefined/, TypeError],
    [() => client.run(any("1 + 1")), /options must be an object, not string/, TypeError],
    [() => client.run({ code: "\ud800" }), /lone surrogate/, TypeError],
    [() => client.run({ code: "1", env: { "\udc00": "" } }), /lone surrogate/, TypeError],
    [() => client.run({ code: "1", tests: any("x") }), /tests must be an array/, TypeError],
    [
      () => client.run({ code: "1", tests: any([null]) }),
      /each test must be an object.*, not null/,
      TypeError,
    ],
    [
      () => client.run({ code: "1", tests: [{ condition: "x", reward: Infinity }] }),
      /reward is Infinity/,
      RangeError,
    ],
    [() => client.run({ code: "1", stdin: any(5) }), /stdin must be a string, not number/, TypeError],
    [
      () => client.run({ code: "1", maxOutputBytes: 1.5 }),
      /maxOutputBytes must be a whole number/,
      RangeError,
    ],
    [() => client.run({ code: "1", session: any({ code: "x" }) }), /unknown option "code"/, TypeError],

    [() => client.executions.run(any({ code: "1" })), /sessionId must be a string, not undefined/, TypeError],
    [() => client.executions.resume("e", { after: -1 }).result(), /after must be a whole number/, RangeError],
    [() => client.executions.stream(any({ code: "1" })).result(), /sessionId must be a string/, TypeError],
    [() => client.files.upload("s", "", "x"), /remotePath must not be empty/, RangeError],
    [
      () => client.files.upload("s", "f", any(5)),
      /content must be a Uint8Array, a string or a source/,
      TypeError,
    ],
    [() => client.files.upload("s", "f", any(new ArrayBuffer(1))), /not ArrayBuffer/, TypeError],
    [() => client.files.upload("s", "f", "\ud800"), /lone surrogate/, TypeError],
    [() => client.files.upload("s", "\ud800", "x"), /lone surrogate/, TypeError],
    [() => client.files.list("s", "\ud800"), /lone surrogate/, TypeError],
    [() => client.files.upload("s", "f", "x", { mode: -1 }), /mode must be a whole number/, RangeError],
  ];
  for (const [call, message, kind] of cases) {
    await assert.rejects(
      async () => call(),
      (error: unknown) => {
        assert.ok(error instanceof kind, `${String(message)}: ${String(error)}`);
        assert.match(error.message, message);
        return true;
      },
    );
  }
  const clients: [unknown, RegExp][] = [
    [{ baseUrl: "unix://" }, /names no socket/],
    [{ baseUrl: "unix://relative" }, /names no socket/],
    [{ baseUrl: "/run/tcid/tcid.sock" }, /must begin with http/],
    [{ baseUrl: "ftp://h" }, /must begin with http/],
    [{ baseUrl: "http://" }, /must begin with http/],
    [{ baseUrl: "http://user:word@h" }, /must hold no user/],
    [{ baseUrl: "http://h?q=1" }, /must hold no user/],
    [{ timeout: 0 }, /timeout must be above 0/],
    [{ timeout: NaN }, /timeout must be a finite number/],
    [{ maxRetries: -1 }, /maxRetries must be a whole number/],
    [{ apiKey: "a\nb" }, /apiKey must be/],
    [{ api_key: "k" }, /unknown option "api_key"/],
  ];
  for (const [options, message] of clients) assert.throws(() => new TCIClient(any(options)), message);
});

test("where the daemon is", () => {
  const system = "/run/tcid/tcid.sock";
  const user = "/run/user/7/tcid/tcid.sock";
  const cases: [Record<string, string>, string[], string][] = [
    [{ TCI_BASE_URL: "http://h:1" }, [system], "http://h:1"],
    [{ XDG_RUNTIME_DIR: "/run/user/7" }, [system, user], `unix://${system}`],
    [{ XDG_RUNTIME_DIR: "/run/user/7" }, [user], `unix://${user}`],
    [{}, [user], "http://127.0.0.1:8787"],
  ];
  for (const [env, existing, want] of cases) {
    assert.equal(
      defaultBaseUrl(env, (path) => existing.includes(path)),
      want,
    );
  }
  assert.deepEqual(parseBaseUrl("https://h/a/b//"), { kind: "tcp", root: "https://h/a/b" });
  assert.deepEqual(parseBaseUrl("unix:///a b/50%.sock"), { kind: "unix", socketPath: "/a b/50%.sock" });
});

test("paths", () => {
  const cases: Record<string, string> = {
    "data.csv": "data.csv",
    "a/b/c.txt": "a/b/c.txt",
    "a//b": "a/b",
    "dir/": "dir/",
    "dir/.": "dir/",
    "/rooted": "%2Frooted",
    "//rooted": "%2Frooted",
    "/workspace/a b": "%2Fworkspace/a%20b",
    "50%?#&=+;'()*!~": "50%25%3F%23%26%3D%2B%3B%27%28%29%2A%21~",
    ü: "%C3%BC",
    "./x": "x",
    "workspace/./x": "workspace/x",
    "../x": "%2F..%2Fx",
    "a/b/..": "%2Fa%2Fb%2F..",
    "a%2Fb": "a%252Fb",
    "..hidden": "..hidden",
    "/": "%2F",
    ".": "%2F",
  };
  for (const [path, want] of Object.entries(cases)) {
    assert.equal(fileSegments(path), want, path);
    // A URL keeps it as it is.
    assert.equal(new URL(`http://h/files/${want}`).pathname, `/files/${want}`, path);
  }
  assert.equal(segment("../a b/ü"), "..%2Fa%20b%2F%C3%BC");
});

test("Retry-After", () => {
  const now = Date.parse("2026-01-31T12:00:00Z");
  const cases: [string | undefined, number | undefined][] = [
    [undefined, undefined],
    ["", undefined],
    ["soon", undefined],
    ["3", 3],
    ["0.5", 0.5],
    ["-1", 0],
    ["Sat, 31 Jan 2026 12:00:05 GMT", 5],
    ["Sat, 31 Jan 2026 11:00:00 GMT", 0],
  ];
  for (const [header, want] of cases) assert.equal(parseRetryAfter(header, now), want, String(header));
});

test("the middle of long texts", () => {
  assert.equal(cutMiddle("x".repeat(100), 100), "x".repeat(100));
  assert.equal(cutMiddle("🐍".repeat(100), 100), "🐍".repeat(100), "characters count, not their halves");
  assert.equal(
    cutMiddle("a".repeat(75) + "b".repeat(50) + "c".repeat(25), 100),
    `${"a".repeat(75)}\n[… 50 characters left out …]\n${"c".repeat(25)}`,
  );
  // Against the plain way, with pairs everywhere.
  for (let round = 0; round < 200; round++) {
    const text = Array.from({ length: random(60) }, () => ["a", "ü", "🐍", "\n", "\ud800x"][random(5)]).join(
      "",
    );
    const limit = 4 + random(40);
    const characters = Array.from(text);
    const head = Math.floor((limit * 3) / 4);
    const tail = Math.floor(limit / 4);
    const want =
      characters.length <= limit
        ? text
        : `${characters.slice(0, head).join("")}\n[… ${String(characters.length - head - tail)} characters left out …]\n` +
          characters.slice(characters.length - tail).join("");
    assert.equal(cutMiddle(text, limit), want, JSON.stringify([text, limit]));
  }
});

test("lines, however they are cut into pieces", async () => {
  for (let round = 0; round < 200; round++) {
    const wanted = Array.from({ length: random(6) }, () => "ü🐍x".repeat(random(5)));
    const whole = Buffer.from(wanted.map((line) => line + "\n").join("") + "without an end");
    const pieces: Buffer[] = [];
    for (let at = 0; at < whole.length;) {
      const end = at + 1 + random(9);
      pieces.push(whole.subarray(at, end));
      at = end;
    }
    assert.deepEqual(
      await collected(pieces, 1000),
      wanted.filter((line) => line !== ""),
    );
  }
  assert.deepEqual(await collected([Buffer.from("12345\n12345\n")], 5), ["12345", "12345"]);
  await assert.rejects(collected([Buffer.from("123"), Buffer.from("456")], 5), InfraError);
  await assert.rejects(collected([Buffer.from("1\n123456\n")], 5), /more than 5 bytes/);
});

async function collected(pieces: readonly Uint8Array[], limit: number): Promise<string[]> {
  const found: string[] = [];
  async function* body(): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    yield* pieces;
  }
  for await (const line of lines(body(), limit)) found.push(line);
  return found;
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

test("what an execution shows", () => {
  const png = Buffer.from([137, 80]).toString("base64");
  const outputs = [
    { type: "stdout", data: "one" },
    { type: "stderr", data: "two\n" },
    { type: "display_data", data: { "image/png": png, "text/html": "<b>" } },
    { type: "execute_result", data: { "text/plain": "three", "image/jpeg": png } },
    { type: "error", data: "Traceback" },
  ];
  const execution = new Execution({
    ...EXECUTION,
    outputs,
    status: "error",
    error: { name: "E", value: "v", traceback: [] },
  });
  assert.equal(execution.text, "one\ntwo\n[image/png, text/html]\nthree\nTraceback\n");
  assert.deepEqual(execution.images, [Uint8Array.of(137, 80), Uint8Array.of(137, 80)]);
  assert.equal(execution.ok, false);
  assert.throws(
    () => execution.raiseForError(),
    (error: unknown) => {
      assert.ok(error instanceof ExecutionError);
      assert.equal(error.message, "E: v");
      return true;
    },
  );
  const fine = new Execution(EXECUTION);
  assert.equal(fine.raiseForError(), fine);
  // JSON where that carries it, else the repr, else null.
  const results: [unknown, string | null, unknown][] = [
    [0, "0", 0],
    [false, "False", false],
    ["", "''", ""],
    [null, "(1, 2)", "(1, 2)"],
    [null, "None", null],
    [null, null, null],
  ];
  for (const [result, result_repr, want] of results) {
    assert.deepEqual(new Execution({ ...EXECUTION, result, result_repr }).result, want);
  }
  for (const status of ["queued", "running"])
    assert.equal(new Execution({ ...EXECUTION, status }).done, false);
  assert.equal(execution.done, true);
});

test("JSON that would arrive as something else", () => {
  assert.equal(Buffer.from(encodeJson({ a: "🐍", b: undefined })).toString(), '{"a":"🐍"}');
  assert.throws(() => encodeJson({ a: [NaN] }), RangeError);
  assert.throws(() => encodeJson({ a: 1n }), TypeError);
});

test("the package", () => {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const about = JSON.parse(text) as { version: string; dependencies?: unknown };
  assert.equal(about.version, version);
  assert.equal(about.dependencies, undefined, "no runtime dependency");
  // The Python SDK's names, but for what a language has of its own.
  const python = readFileSync(new URL("../../../python/tci/__init__.py", import.meta.url), "utf8");
  const names = [...(/__all__ = \[([^\]]*)\]/.exec(python)?.[1] ?? "").matchAll(/"(\w+)"/g)].map(
    (m) => m[1] ?? "",
  );
  const errors = names.filter((name) => /Error$|NotFound$|Failed$|Gone$|Broken$/.test(name));
  assert.ok(errors.length > 8);
  for (const name of [...errors, "Execution", "File", "Session", "TCIClient"]) {
    assert.ok(name in sdk, `the Python SDK has ${name}`);
  }
});
