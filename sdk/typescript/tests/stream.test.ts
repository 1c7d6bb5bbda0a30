// Streams that break, repeat themselves, lie, or are left.

import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import {
  ConnectionFailed,
  EventsGone,
  InfraError,
  SessionNotFound,
  StreamBroken,
  type ExecutionEvent,
  type ExecutionStream,
} from "../src/index.js";
import { Executions } from "../src/executions.js";
import { Transport } from "../src/transport.js";
import { bothWays, EXECUTION, fakeDaemon, refuse, type Arrived, type Handler } from "./fake.js";

const TIME = "2026-01-31T12:00:00Z";
const TEST = {
  name: "n",
  type: "condition",
  index: 0,
  passed: true,
  reward: 1,
  score: 1,
  status: "passed",
  integrity: "cooperative",
  duration_ms: 1,
  message: "",
};

/** One event of each kind, as the daemon tells them. */
const EVENTS: readonly Record<string, unknown>[] = [
  { type: "started", execution_id: "exe_1", session_id: "ses_1" },
  { type: "stdout", text: "töxt 🐍\n" },
  { type: "stderr", text: "e" },
  { type: "display_data", data: { "text/plain": "d" }, metadata: {}, display_id: "a" },
  { type: "update_display_data", data: { "text/plain": "u" }, metadata: {}, display_id: "a" },
  { type: "clear_output", wait: true },
  { type: "execute_result", data: { "text/plain": "7" }, metadata: { m: 1 } },
  { type: "error", name: "E", value: "v", traceback: ["a", "b"] },
  { type: "test", test: TEST },
  { type: "of tomorrow", what: 1 },
  { type: "finished", execution: EXECUTION },
].map((event, i) => ({ seq: i + 1, time: TIME, ...event }));

const LINES = EVENTS.map((event) => JSON.stringify(event) + "\n");
const ALL = Buffer.from(LINES.join(""));

function begin(response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "application/x-ndjson", "X-Execution-Id": "exe_1" });
  response.flushHeaders();
}

/** Sends bytes, then breaks the connection. */
function cut(response: ServerResponse, bytes: Uint8Array | string): void {
  begin(response);
  response.write(bytes, () => response.destroy());
}

/** Sends bytes and ends as if that was all. */
function end(response: ServerResponse, bytes: Uint8Array | string): void {
  begin(response);
  response.end(bytes);
}

async function all(stream: ExecutionStream): Promise<ExecutionEvent[]> {
  const events: ExecutionEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

function kinds(events: readonly ExecutionEvent[]): string[] {
  return events.map((event) => `${String(event.seq)} ${event.type}`);
}

const WHOLE = EVENTS.map(
  ({ seq, type }) => `${String(seq)} ${type === "of tomorrow" ? "other" : String(type)}`,
);

function after(request: Arrived): number {
  return Number(new URL(request.target, "http://h").searchParams.get("after"));
}

/** Breaks at first; what goes on gets the rest. */
function breaking(first: (response: ServerResponse) => void): Handler {
  return (request, response, number) => {
    if (number === 1) first(response);
    else end(response, LINES.slice(after(request)).join(""));
  };
}

bothWays("all kinds of events", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (_, response) => {
    end(response, `{"type":"keepalive"}\n\n${ALL.toString()}`);
  });
  const stream = daemon.client.executions.stream({ sessionId: "ses_1", code: "1", detach: true });
  assert.equal(stream.executionId, null);
  const events = await all(stream);
  assert.deepEqual(kinds(events), WHOLE);
  assert.equal(stream.executionId, "exe_1");
  assert.equal(stream.seq, EVENTS.length);
  assert.equal((await stream.result()).result, 7);
  assert.deepEqual(events[1], { type: "stdout", seq: 2, time: TIME, text: "töxt 🐍\n" });
  assert.deepEqual(events[6], {
    type: "execute_result",
    seq: 7,
    time: TIME,
    data: { "text/plain": "7" },
    metadata: { m: 1 },
    displayId: null,
  });
  assert.ok(events[8]?.type === "test" && events[8].test.durationMs === 1);
  assert.ok(events[9]?.type === "other" && events[9].kind === "of tomorrow" && events[9].raw["what"] === 1);
  const [request] = daemon.arrived;
  assert.deepEqual(JSON.parse(request?.body ?? ""), { code: "1", stream: true, detach: true });
  assert.equal(request?.headers.accept, "application/x-ndjson");
  assert.match(String(request.headers["idempotency-key"]), /^[0-9a-f-]{36}$/);
  assert.throws(() => stream[Symbol.asyncIterator](), TypeError);
});

bothWays("a break at each event, between and inside lines", async (t, way) => {
  let offset = 0;
  const places = [0];
  for (const line of LINES) {
    const size = Buffer.byteLength(line);
    places.push(offset + 1, offset + Math.floor(size / 2), offset + size - 1, offset + size);
    offset += size;
  }
  // With the last newline, the whole stream has arrived.
  places.pop();
  const breaks = places.flatMap((place) => [cut, end].map((broken) => ({ place, broken })));
  await Promise.all(
    breaks.map(async ({ place, broken }) => {
      const daemon = await fakeDaemon(
        t,
        way,
        breaking((response) => {
          broken(response, ALL.subarray(0, place));
        }),
      );
      const events = await all(daemon.client.executions.stream({ sessionId: "ses_1", code: "1" }));
      assert.deepEqual(kinds(events), WHOLE, `broken at byte ${String(place)}`);
      assert.deepEqual(
        daemon.arrived.map((r) => r.method),
        ["POST", "GET"],
      );
      await daemon.stop();
    }),
  );
});

bothWays("a break at every event in turn", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (request, response) => {
    const from = request.method === "POST" ? 0 : after(request);
    cut(response, LINES[from] ?? "");
  });
  const events = await all(daemon.client.executions.stream({ sessionId: "ses_1", code: "1" }));
  assert.deepEqual(kinds(events), WHOLE);
  assert.deepEqual(
    daemon.arrived.slice(1).map(after),
    EVENTS.slice(1).map((_, i) => i + 1),
  );
});

bothWays("events that come twice are given once", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (_, response, number) => {
    if (number === 1) cut(response, LINES.slice(0, 4).join("") + LINES.slice(1, 3).join(""));
    else end(response, ALL);
  });
  assert.deepEqual(kinds(await all(daemon.client.stream({ code: "1" }))), WHOLE);
});

bothWays("a break before the head sends the same request again", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (_, response, number) => {
    if (number === 1) response.destroy();
    else end(response, ALL);
  });
  assert.equal((await daemon.client.executions.stream({ sessionId: "ses_1", code: "1" }).result()).ok, true);
  const [first, second] = daemon.arrived;
  assert.equal(first?.headers["idempotency-key"], second?.headers["idempotency-key"]);
  assert.equal(first?.body, second?.body);
});

bothWays("a daemon that is busy is asked again later", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (request, response, number) => {
    if (number === 1 || number === 3) refuse(response, 429, "capacity", { "Retry-After": "0" });
    else if (number === 2) cut(response, LINES.slice(0, 3).join(""));
    else end(response, LINES.slice(after(request)).join(""));
  });
  assert.deepEqual(
    kinds(await all(daemon.client.executions.stream({ sessionId: "ses_1", code: "1" }))),
    WHOLE,
  );
  assert.equal(daemon.arrived.length, 4);
});

bothWays("missing events are told, not hidden", async (t, way) => {
  const lost = JSON.stringify({ seq: 9, type: "truncated", time: TIME, events: 9 }) + "\n";
  const daemon = await fakeDaemon(t, way, (_, response) => {
    end(response, lost + LINES.slice(9).join(""));
  });
  const events = await all(daemon.client.executions.resume("exe_1"));
  assert.deepEqual(kinds(events), ["9 truncated", "10 other", "11 finished"]);
  const gap = await fakeDaemon(t, way, (_, response) => {
    end(response, LINES.slice(0, 2).join("") + LINES.slice(4).join(""));
  });
  await assert.rejects(all(gap.client.executions.resume("exe_1")), (error: unknown) => {
    assert.ok(error instanceof StreamBroken && error instanceof InfraError);
    assert.match(error.message, /event 5 after event 2/);
    assert.equal(error.executionId, "exe_1");
    assert.equal(error.seq, 2);
    return true;
  });
});

bothWays("a stream that never goes on is given up", async (t, way) => {
  const daemon = await fakeDaemon(
    t,
    way,
    (_, response, number) => {
      cut(response, number === 1 ? (LINES[0] ?? "") : "");
    },
    { maxRetries: 2 },
  );
  await assert.rejects(all(daemon.client.executions.stream({ sessionId: "ses_1", code: "1" })), StreamBroken);
  assert.equal(daemon.arrived.length, 3);
  assert.equal(daemon.arrived.filter((r) => r.method === "POST").length, 1);
});

bothWays("without retries, a break is the end", async (t, way) => {
  const daemon = await fakeDaemon(
    t,
    way,
    breaking((response) => {
      cut(response, LINES[0] ?? "");
    }),
    { maxRetries: 0 },
  );
  await assert.rejects(all(daemon.client.executions.stream({ sessionId: "ses_1", code: "1" })), StreamBroken);
  assert.equal(daemon.arrived.length, 1);
});

bothWays("leaving the loop closes the connection", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (_, response) => {
    begin(response);
    response.write(LINES[0]);
  });
  for await (const event of daemon.client.executions.stream({ sessionId: "ses_1", code: "1" })) {
    assert.equal(event.type, "started");
    break;
  }
  await until(() => daemon.answering() === 0);
  assert.equal(daemon.arrived.length, 1);
});

bothWays("aborting a stream", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (_, response) => {
    begin(response);
    response.write(LINES[0]);
  });
  const controller = new AbortController();
  const reason = new Error("enough");
  const stream = daemon.client.executions.stream({
    sessionId: "ses_1",
    code: "1",
    signal: controller.signal,
  });
  await assert.rejects(async () => {
    for await (const event of stream) {
      assert.equal(event.seq, 1);
      setTimeout(() => {
        controller.abort(reason);
      }, 20);
    }
  }, reason);
  await until(() => daemon.answering() === 0);
  await assert.rejects(stream.result(), TypeError);
});

bothWays("an error thrown in the loop is the caller's", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (_, response) => {
    begin(response);
    response.write(LINES[0]);
  });
  const mine = new ConnectionFailed("mine");
  await assert.rejects(async () => {
    for await (const _ of daemon.client.stream({ code: "1" })) throw mine;
  }, mine);
  await until(() => daemon.answering() === 0);
  assert.equal(daemon.arrived.length, 1);
});

bothWays("refusals of streams", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (request, response) => {
    if (request.target.endsWith("/events?after=0")) refuse(response, 410, "events_gone");
    else if (request.method === "GET") response.end(JSON.stringify(EXECUTION));
    else refuse(response, 404, "session_not_found");
  });
  await assert.rejects(all(daemon.client.executions.stream({ sessionId: "x", code: "1" })), SessionNotFound);
  const gone = daemon.client.executions.resume("exe_1");
  await assert.rejects(all(gone), EventsGone);
  // The execution itself is still there.
  assert.equal((await daemon.client.executions.wait("exe_1")).result, 7);
});

bothWays("lines that are no events", async (t, way) => {
  const cases: [string, RegExp][] = [
    ["<html>\n", /no JSON: <html>/],
    ["[1]\n", /not an event but an array/],
    ['{"seq":"1","type":"stdout"}\n', /seq is string, not a number/],
    ['{"seq":1}\n', /type is undefined/],
    ['{"seq":1,"type":"stdout","text":5}\n', /text is number/],
    ['{"seq":1,"type":"finished","execution":null}\n', /not an execution but null/],
    ['{"seq":1,"type":"finished","execution":{"id":"exe_1"}}\n', /not an execution: session_id/],
  ];
  for (const [line, message] of cases) {
    const daemon = await fakeDaemon(t, way, (_, response) => {
      end(response, line);
    });
    await assert.rejects(all(daemon.client.executions.resume("exe_1")), (error: unknown) => {
      assert.ok(error instanceof InfraError);
      assert.match(error.message, message);
      return true;
    });
    assert.equal(daemon.arrived.length, 1, "what is wrong is not asked for again");
    await daemon.stop();
  }
});

bothWays("a line without an end", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (_, response) => {
    begin(response);
    const more = (): void => {
      while (!response.destroyed && response.write("x".repeat(1000)));
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
  const executions = new Executions(new Transport(options));
  await assert.rejects(all(executions.resume("exe_1")), /a line of more than 100000 bytes/);
  await until(() => daemon.answering() === 0);
});

bothWays("silence is a break", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (_, response, number) => {
    if (number > 1) {
      end(response, ALL);
      return;
    }
    begin(response);
    response.write(LINES[0]);
  });
  const options = { baseUrl: daemon.baseUrl, apiKey: undefined, timeout: 0.2, maxRetries: 5 };
  const transport = new Transport(options);
  // As a stream, but with less patience.
  const open = transport.open.bind(transport);
  transport.open = (call) => open({ ...call, wait: 0 });
  assert.deepEqual(kinds(await all(new Executions(transport).resume("exe_1"))), WHOLE);
});

bothWays("an execution whose connection breaks is listened to", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (request, response, number) => {
    if (number > 1) {
      assert.equal(request.target, "/v1/executions/exe_1/events?after=0");
      end(response, ALL);
      return;
    }
    response.writeHead(200, { "X-Execution-Id": "exe_1", "Content-Length": "5000" });
    response.write("  {", () => response.destroy());
  });
  assert.equal((await daemon.client.executions.run({ sessionId: "ses_1", code: "1" })).result, 7);
  assert.equal(daemon.arrived.length, 2);
});

bothWays("a stream behind the last event", async (t, way) => {
  let status = "ok";
  const daemon = await fakeDaemon(t, way, (request, response) => {
    if (request.target.includes("events")) end(response, "");
    else response.end(JSON.stringify({ ...EXECUTION, status }));
  });
  const stream = daemon.client.executions.resume("exe_1", { after: 11 });
  assert.deepEqual(await all(stream), []);
  assert.equal(stream.execution?.result, 7);
  status = "running";
  await assert.rejects(all(daemon.client.executions.resume("exe_1", { after: 11 })), StreamBroken);
});

bothWays("texts that are empty may be left out", async (t, way) => {
  const lines = '{"seq":1,"type":"error","name":"KeyboardInterrupt"}\n{"seq":2,"type":"stdout"}\n';
  const daemon = await fakeDaemon(t, way, (_, response) => {
    end(response, lines + JSON.stringify({ seq: 3, type: "finished", execution: EXECUTION }) + "\n");
  });
  const [error, output] = await all(daemon.client.executions.resume("exe_1"));
  assert.ok(error?.type === "error" && error.value === "" && error.traceback.length === 0);
  assert.ok(output?.type === "stdout" && output.text === "");
});

bothWays("so is one that was started", async (t, way) => {
  const daemon = await fakeDaemon(t, way, (request, response, number) => {
    if (number > 1) {
      assert.equal(`${request.method} ${request.target}`, "GET /v1/executions/exe_1");
      response.end(JSON.stringify({ ...EXECUTION, status: "running" }));
      return;
    }
    response.writeHead(202, { "X-Execution-Id": "exe_1", "Content-Length": "5000" });
    response.write("{", () => response.destroy());
  });
  assert.equal((await daemon.client.executions.start({ sessionId: "ses_1", code: "1" })).status, "running");
  assert.equal(daemon.arrived.length, 2);
});

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await sleep(10);
  assert.ok(holds(), "it never came to that");
}
