// How requests travel: again where that is safe, never where it is not.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import {
  AuthenticationError,
  CapacityError,
  ConflictError,
  ConnectionFailed,
  EventsGone,
  InfraError,
  InvalidRequestError,
  NotFoundError,
  RemoteFileNotFound,
  SessionNotFound,
  TCIClient,
  TCIError,
} from "../src/index.js";
import { Sessions } from "../src/sessions.js";
import { Executions } from "../src/executions.js";
import { Files } from "../src/files.js";
import { Transport } from "../src/transport.js";
import { version } from "../src/version.js";
import { answer, bothWays, EXECUTION, fakeDaemon, rawServer, refuse, SESSION, type Handler } from "./fake.js";

/** Answers every call with something that fits. */
const ok: Handler = (request, response) => {
  if (request.target.includes("executions")) answer(response, EXECUTION);
  else answer(response, SESSION, request.method === "POST" ? 201 : 200);
};

function bytes(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31) % 251);
}

bothWays("what is sent", async (t, way) => {
  const daemon = await fakeDaemon(t, way, ok);
  await daemon.client.sessions.create({
    ttl: 5,
    resources: { memoryMb: 100, cpus: undefined },
    files: { "a.txt": "ä", b: new Uint8Array([0, 255]) },
    idempotencyKey: "mine",
  });
  const [request] = daemon.arrived;
  assert.equal(`${String(request?.method)} ${String(request?.target)}`, "POST /v1/sessions");
  assert.equal(request?.headers.authorization, "Bearer key");
  assert.equal(request.headers["content-type"], "application/json");
  assert.equal(request.headers["user-agent"], `tci-sdk-typescript/${version}`);
  assert.equal(request.headers["idempotency-key"], "mine");
  assert.deepEqual(JSON.parse(Buffer.from(request.body, "latin1").toString()), {
    language: "python",
    ttl: 5,
    resources: { memory_mb: 100 },
    files: [
      { name: "a.txt", encoding: "string", content: "ä" },
      { name: "b", encoding: "base64", content: "AP8=" },
    ],
  });
});

bothWays("calls and their requests", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (request, response) => {
    if (request.target.endsWith("/cancel")) answer(response, EXECUTION);
    else if (request.target === "/v1/sessions/s/executions" && request.method === "GET") {
      answer(response, { data: [EXECUTION] });
    } else if (request.target.startsWith("/v1/sessions?") && request.method === "GET") {
      answer(response, { data: [SESSION], next: request.target.includes("after") ? null : "ses_1" });
    } else if (request.target.includes("executions")) answer(response, EXECUTION);
    else
      answer(response, {
        ...SESSION,
        closed: 3,
        matches: ["a"],
        start: 0,
        end: 1,
        status: "complete",
        indent: "",
      });
  });
  const { client, arrived } = daemon;
  const session = await client.sessions.get("s");
  assert.equal((await client.sessions.list({ state: "busy", metadata: { "a b": "ü" } })).length, 2);
  await client.sessions.update("s", { ttl: 0, metadata: {} });
  await client.sessions.interrupt("s");
  await client.sessions.restart("s");
  assert.equal(await client.sessions.closeAll({ job: "1" }), 3);
  assert.equal(await client.sessions.close("s"), true);
  assert.deepEqual(await client.sessions.complete("s", "a", { cursor: 1 }), {
    matches: ["a"],
    start: 0,
    end: 1,
  });
  assert.deepEqual(await session.isComplete("a"), { status: "complete", indent: "" });
  await session.run("1", {
    grading: "sum",
    tests: [{ condition: "x" }],
    stdin: new Uint8Array([255]),
    maxOutputBytes: 9,
  });
  await session.start("1");
  await client.run({ code: "1", session: { idleTimeout: 1 } });
  await client.executions.get("e");
  await client.executions.cancel("e");
  assert.equal((await client.executions.list("s")).length, 1);
  const shown = arrived.map((r) => `${r.method} ${decodeURIComponent(r.target)} ${r.body}`.trim());
  assert.deepEqual(shown, [
    "GET /v1/sessions/s",
    "GET /v1/sessions?metadata.a+b=ü&state=busy",
    "GET /v1/sessions?metadata.a+b=ü&state=busy&after=ses_1",
    'PATCH /v1/sessions/s {"ttl":0,"metadata":{}}',
    "POST /v1/sessions/s/interrupt",
    "POST /v1/sessions/s/restart",
    "DELETE /v1/sessions?metadata.job=1",
    "DELETE /v1/sessions/s",
    'POST /v1/sessions/s/complete {"code":"a","cursor":1}',
    'POST /v1/sessions/ses_1/is_complete {"code":"a"}',
    'POST /v1/sessions/ses_1/executions {"grading":{"mode":"sum"},"tests":[{"condition":"x"}],' +
      '"max_output_bytes":9,"code":"1","stdin_base64":"/w=="}',
    'POST /v1/sessions/ses_1/executions {"code":"1","detach":true}',
    'POST /v1/executions {"code":"1","session":{"idle_timeout":1}}',
    "GET /v1/executions/e",
    "POST /v1/executions/e/cancel",
    "GET /v1/sessions/s/executions",
  ]);
  // What makes something carries a key, a new one each time.
  const keys = arrived.filter((r) => r.headers["idempotency-key"] !== undefined);
  assert.deepEqual(
    keys.map((r) => r.target),
    [
      "/v1/sessions/s/restart",
      "/v1/sessions/ses_1/executions",
      "/v1/sessions/ses_1/executions",
      "/v1/executions",
    ],
  );
  assert.equal(new Set(keys.map((r) => r.headers["idempotency-key"])).size, keys.length);
  assert.ok(daemon.open() <= 2, "connections are used again");
});

bothWays("refusals and their classes", async (t, way) => {
  const cases: [number, string, new (...args: never[]) => TCIError][] = [
    [400, "invalid_value", InvalidRequestError],
    [413, "body_too_large", InvalidRequestError],
    [507, "no_space", InvalidRequestError],
    [401, "invalid_api_key", AuthenticationError],
    [403, "origin_not_allowed", AuthenticationError],
    [421, "host_not_allowed", AuthenticationError],
    [404, "session_not_found", SessionNotFound],
    [404, "file_not_found", RemoteFileNotFound],
    [404, "image_not_found", NotFoundError],
    [404, "not_found", NotFoundError],
    [409, "busy", ConflictError],
    [412, "file_exists", ConflictError],
    [410, "events_gone", EventsGone],
    [429, "capacity", CapacityError],
    [503, "shutting_down", CapacityError],
    [500, "internal", InfraError],
    [502, "of a proxy", InfraError],
  ];
  const daemon = await fakeDaemon(t, way, (request, response) => {
    const [status, code] = cases[Number(request.target.split("/").pop())] ?? [0, ""];
    refuse(response, status, code);
  });
  for (const [number, [status, code, kind]] of cases.entries()) {
    await assert.rejects(daemon.client.sessions.get(String(number)), (error: unknown) => {
      assert.ok(error instanceof kind && error.constructor === kind, code);
      assert.equal(error.name, kind.name);
      const { message, param, requestId } = error;
      assert.deepEqual(
        { message, status: error.status, code: error.code, param, requestId },
        { message: "a message", status, code, param: "p", requestId: "req_1" },
      );
      return true;
    });
  }
  // fetch itself asks again after 421, which says that nothing was done.
  const once = daemon.arrived.filter((r, i) => r.target !== daemon.arrived[i - 1]?.target);
  assert.equal(once.length, cases.length);
  assert.ok(daemon.arrived.length <= cases.length + 1);
});

bothWays("what is not the daemon's kind of answer", async (t, way) => {
  const cases: [number, string, RegExp][] = [
    [200, "<html>", /not JSON/],
    [200, '{"id": "ses_', /cut off or is not JSON/],
    [200, "[]", /not a session but an array/],
    [200, "", /not a session but undefined/],
    [200, '{"id": 1}', /id is number, not a string/],
    [502, "<html>", /HTTP status 502/],
    [302, "", /HTTP status 302/],
    [404, '{"error": {"message": 5}}', /HTTP status 404/],
  ];
  const daemon = await fakeDaemon(t, way, (request, response) => {
    const [status, body] = cases[Number(request.target.split("/").pop())] ?? [0, ""];
    answer(response, body, status, { Location: "/elsewhere" });
  });
  for (const [number, [status, , message]] of cases.entries()) {
    await assert.rejects(daemon.client.sessions.get(String(number)), (error: unknown) => {
      assert.ok(error instanceof TCIError);
      if (status === 200) assert.ok(error instanceof InfraError);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.equal(daemon.arrived.length, cases.length);
});

bothWays("a busy daemon is asked again when it says", async (t, way) => {
  for (const status of [429, 503]) {
    const daemon = await fakeDaemon(t, way, (request, response, number) => {
      if (number < 3) refuse(response, status, "capacity", { "Retry-After": "1" });
      else void ok(request, response, number);
    });
    const since = performance.now();
    await daemon.client.sessions.create();
    const took = performance.now() - since;
    assert.ok(took > 1990 && took < 4000, `took ${String(took)} ms`);
    const keys = daemon.arrived.map((r) => r.headers["idempotency-key"]);
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1);
  }
});

bothWays("when a busy daemon is not asked again", async (t, way) => {
  const cases: [string, Record<string, string>][] = [
    ["capacity", { "Retry-After": "0", "X-Should-Retry": "false" }],
    ["capacity", { "Retry-After": "61" }],
    ["capacity", {}],
    ["too_many_failures", { "Retry-After": "0" }],
  ];
  for (const [code, headers] of cases) {
    const daemon = await fakeDaemon(t, way, (_, response) => {
      refuse(response, 429, code, headers);
    });
    await assert.rejects(daemon.client.run({ code: "1" }), (error: unknown) => {
      assert.ok(error instanceof CapacityError);
      assert.equal(error.retryAfter, Number(headers["Retry-After"] ?? "1"));
      return true;
    });
    assert.equal(daemon.arrived.length, 1);
  }
});

bothWays("tries are bounded", async (t, way) => {
  for (const maxRetries of [0, 2]) {
    const busy = await fakeDaemon(
      t,
      way,
      (_, r) => {
        refuse(r, 503, "shutting_down", { "Retry-After": "0" });
      },
      { maxRetries },
    );
    await assert.rejects(busy.client.run({ code: "1" }), CapacityError);
    assert.equal(busy.arrived.length, maxRetries + 1);
    const broken = await fakeDaemon(t, way, (_, r) => void r.destroy(), { maxRetries });
    await assert.rejects(broken.client.run({ code: "1" }), (error: unknown) => {
      assert.ok(error instanceof ConnectionFailed && error.sent && error.executionId === null);
      return true;
    });
    assert.equal(broken.arrived.length, maxRetries + 1);
  }
});

bothWays("a break: what is sent again, and what is not", async (t, way) => {
  const big = bytes(600_000);
  const again: Record<string, (client: TCIClient) => Promise<unknown>> = {
    create: (c) => c.sessions.create(),
    get: (c) => c.sessions.get("s"),
    update: (c) => c.sessions.update("s", { ttl: 1 }),
    restart: (c) => c.sessions.restart("s"),
    close: (c) => c.sessions.close("s"),
    run: (c) => c.executions.run({ sessionId: "s", code: "1" }),
    "run once": (c) => c.run({ code: "1" }),
    start: (c) => c.executions.start({ sessionId: "s", code: "1" }),
    cancel: (c) => c.executions.cancel("executions"),
    upload: (c) => c.files.upload("s", "f", "text"),
    "a big upload": (c) => c.files.upload("s", "f", big),
    download: (c) => c.files.download("s", "f"),
  };
  for (const [name, call] of Object.entries(again)) {
    const daemon = await fakeDaemon(t, way, (request, response, number) => {
      if (number === 1) response.destroy();
      else void ok(request, response, number);
    });
    await call(daemon.client);
    const [first, second] = daemon.arrived;
    assert.equal(daemon.arrived.length, 2, name);
    assert.equal(first?.body, second?.body, name);
    assert.equal(first?.headers["idempotency-key"], second?.headers["idempotency-key"], name);
    if (name === "a big upload") assert.equal(second?.body, Buffer.from(big).toString("latin1"));
    await daemon.stop();
  }
  async function* source(): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    yield bytes(10);
  }
  const never: Record<string, (client: TCIClient) => Promise<unknown>> = {
    interrupt: (c) => c.sessions.interrupt("s"),
    closeAll: (c) => c.sessions.closeAll({ a: "b" }),
    delete: (c) => c.files.delete("s", "f"),
    "upload of a source": (c) => c.files.upload("s", "f", source()),
    "upload of a new file": (c) => c.files.upload("s", "f", "x", { overwrite: false }),
  };
  for (const [name, call] of Object.entries(never)) {
    const daemon = await fakeDaemon(t, way, (_, response) => void response.destroy());
    await assert.rejects(call(daemon.client), ConnectionFailed, name);
    assert.equal(daemon.arrived.length, 1, name);
    await daemon.stop();
  }
});

bothWays("code is not sent to a daemon that came after the break", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (request, response, number) => {
    if (number === 2) void daemon.stop();
    else void ok(request, response, number);
  });
  await daemon.client.sessions.get("s");
  const running = assert.rejects(daemon.client.run({ code: "1" }), (error: unknown) => {
    assert.ok(error instanceof ConnectionFailed && !error.sent);
    return true;
  });
  await running;
  await daemon.listen();
  await sleep(300);
  assert.equal(daemon.arrived.length, 2);
  await daemon.client.run({ code: "2" });
});

bothWays("a daemon that restarts is waited for, one that never was is not", async (t, way) => {
  const daemon = await fakeDaemon(t, way, ok);
  await daemon.stop();
  const since = performance.now();
  await assert.rejects(daemon.client.sessions.get("s"), (error: unknown) => {
    assert.ok(error instanceof ConnectionFailed && !error.sent);
    assert.match(error.message, /there is no daemon at .*start one with: tcid serve/);
    return true;
  });
  assert.ok(performance.now() - since < 1000);
  await daemon.listen();
  await daemon.client.sessions.get("s");
  await daemon.stop();
  const calls = [daemon.client.sessions.get("s"), daemon.client.sessions.create()];
  setTimeout(() => void daemon.listen(), 400);
  await Promise.all(calls);
  assert.equal(daemon.arrived.length, 3);
});

bothWays("what is no HTTP", async (t, way) => {
  const server = await rawServer(t, way, (socket) => {
    socket.once("data", () => socket.end("SSH-2.0-OpenSSH\r\n"));
  });
  const client = new TCIClient({ apiKey: "k", baseUrl: server.baseUrl });
  await assert.rejects(client.sessions.get("s"), (error: unknown) => {
    assert.ok(error instanceof ConnectionFailed);
    assert.match(error.message, /not HTTP/);
    return true;
  });
});

bothWays("answers that are cut off", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (request, response, number) => {
    if (number > 1) {
      void ok(request, response, number);
      return;
    }
    response.writeHead(200, { "Content-Length": "500" });
    response.write('{"id"', () => response.destroy());
  });
  assert.equal((await daemon.client.executions.run({ sessionId: "s", code: "1" })).result, 7);
  const [first, second] = daemon.arrived;
  assert.equal(first?.headers["idempotency-key"], second?.headers["idempotency-key"]);
});

bothWays("time", async (t, way) => {
  const daemon = await fakeDaemon(
    t,
    way,
    async (request, response, number) => {
      if (request.target.includes("silent")) return;
      response.writeHead(200);
      for (let beat = 0; beat < 4; beat++) {
        response.write(" ");
        await sleep(150);
      }
      if (!request.target.includes("stuck")) response.end(JSON.stringify({ ...EXECUTION, index: number }));
    },
    { timeout: 0.4 },
  );
  // Signs of life, each within the time.
  assert.equal((await daemon.client.executions.get("e")).ok, true);
  for (const id of ["silent", "stuck"]) {
    const since = performance.now();
    await assert.rejects(daemon.client.executions.get(id), (error: unknown) => {
      assert.ok(error instanceof ConnectionFailed);
      assert.match(error.message, /did not answer in time/);
      return true;
    });
    assert.ok(performance.now() - since < 2000);
  }
  assert.equal(daemon.arrived.length, 3, "what took too long is not tried again");
  await until(() => daemon.answering() === 0);
});

bothWays("aborting", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (request, response) => {
    if (request.target.includes("busy")) refuse(response, 429, "capacity", { "Retry-After": "30" });
    if (request.target.includes("half")) {
      response.writeHead(200, { "Content-Length": "10" });
      response.write("x");
    }
  });
  const { client } = daemon;
  const calls: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    "while it waits": (signal) => client.executions.run({ sessionId: "s", code: "1", signal }),
    "while the answer comes": (signal) => client.files.download("half", "f", { signal }),
    "between tries": (signal) => client.sessions.get("busy", { signal }),
    "while something is made": (signal) => client.sessions.create({ signal }),
    "while a file is sent": (signal) => client.files.upload("s", "f", slow(), { signal }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const controller = new AbortController();
    const reason = new Error(name);
    setTimeout(() => {
      controller.abort(reason);
    }, 50);
    const since = performance.now();
    await assert.rejects(call(controller.signal), (error) => error === reason, name);
    assert.ok(performance.now() - since < 1000, name);
  }
  await until(() => daemon.answering() === 0);
  const before = daemon.arrived.length;
  await assert.rejects(client.sessions.get("s", { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(daemon.arrived.length, before);
});

async function* slow(): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 200; i++) {
    yield bytes(10);
    await sleep(10);
  }
}

bothWays("an answer that is too long", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (_, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && response.write(" ".repeat(1000)));
      if (!response.destroyed) response.once("drain", more);
    };
    more();
  });
  const options = {
    baseUrl: daemon.baseUrl,
    apiKey: undefined,
    timeout: 5,
    maxRetries: 5,
    maxJsonBytes: 100_000,
  };
  const transport = new Transport(options);
  const executions = new Executions(transport);
  const sessions = new Sessions(transport, executions, new Files(transport));
  await assert.rejects(executions.get("e"), /more than 100000 bytes/);
  await assert.rejects(sessions.get("s"), InfraError);
  await until(() => daemon.answering() === 0);
});

bothWays("uploads", async (t, way) => {
  const daemon = await fakeDaemon(t, way, ok);
  const big = bytes(700_001);
  async function* source(): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    yield big.subarray(0, 3);
    yield big.subarray(3, 3);
    yield big.subarray(3, 20_000);
  }
  const contents: [Uint8Array | string | AsyncIterable<Uint8Array>, Uint8Array][] = [
    ["tö", Buffer.from("tö")],
    ["", new Uint8Array()],
    [Buffer.from([0, 255]), Uint8Array.of(0, 255)],
    [big.subarray(5, 9), big.subarray(5, 9)],
    [big, big],
    [source(), big.subarray(0, 20_000)],
  ];
  for (const [content] of contents) {
    assert.equal(
      await daemon.client.files.upload("s", "f", content, { mode: 0o755, overwrite: false }),
      true,
    );
  }
  for (const [number, [, wanted]] of contents.entries()) {
    const request = daemon.arrived[number];
    assert.equal(request?.target, "/v1/sessions/s/files/f?mode=0755");
    assert.equal(request.headers["if-none-match"], "*");
    assert.ok(Buffer.from(request.body, "latin1").equals(wanted), `content ${String(number)}`);
  }
  async function* bad(): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    yield bytes(1);
    yield "text" as unknown as Uint8Array;
  }
  await assert.rejects(
    daemon.client.files.upload("s", "f", bad()),
    /a source must give Uint8Arrays, not string/,
  );
});

bothWays("many calls at once get their own answers", async (t, way) => {
  const daemon = await fakeDaemon(t, way, async (request, response) => {
    await sleep(Math.random() * 5);
    answer(response, { ...SESSION, id: request.target.split("/").pop() });
  });
  const ids = Array.from({ length: 200 }, (_, i) => `ses_${String(i)}`);
  const got = await Promise.all(ids.map((id) => daemon.client.sessions.get(id)));
  assert.deepEqual(
    got.map((session) => session.id),
    ids,
  );
});

bothWays("a base URL with a path", async (t, way) => {
  if (way === "unix") return; // the whole of it is the socket's path
  const daemon = await fakeDaemon(t, way, ok);
  await new TCIClient({ apiKey: "k", baseUrl: `${daemon.baseUrl}/prefix/` }).sessions.get("s");
  assert.equal(daemon.arrived[0]?.target, "/prefix/v1/sessions/s");
});

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await sleep(10);
  assert.ok(holds(), "it never came to that");
}
