// A program in strict TypeScript that uses the package as it is installed.

import { strict as assert } from "node:assert";

import {
  run,
  TCIClient,
  SessionNotFound,
  TCIError,
  type Execution,
  type ExecutionEvent,
  type JsonValue,
  type RunParams,
} from "@tci/sdk";

function shown(event: ExecutionEvent): string {
  switch (event.type) {
    case "started":
      return event.executionId.slice(0, 4);
    case "stdout":
    case "stderr":
      return event.text;
    case "display_data":
    case "execute_result":
    case "update_display_data":
      return Object.keys(event.data).join();
    case "clear_output":
      return String(event.wait);
    case "error":
      return `${event.name}: ${event.value}`;
    case "test":
      return `${event.test.name} ${String(event.test.passed)}`;
    case "truncated":
      return String(event.events);
    case "finished":
      return event.execution.status;
    case "other":
      return event.kind;
    default: {
      // All kinds are above, or this line is an error.
      const none: never = event;
      return none;
    }
  }
}

async function main(): Promise<void> {
  const tci = new TCIClient();
  await using session = await tci.sessions.create({ language: "python", metadata: { from: "strict" } });

  const params: RunParams = { sessionId: session.id, code: "result = 1 + 3" };
  const tests = [{ name: "is four", condition: "result == 4", reward: 0.5 }];
  const execution: Execution = await tci.executions.run({ ...params, tests });
  const result: JsonValue = execution.result;
  assert.equal(result, 4);
  assert.equal(execution.tests[0]?.passed, true);
  assert.equal(execution.reward, 1);

  const told: string[] = [];
  for await (const event of session.stream("print('a')\n1 / 0", { tests })) told.push(shown(event));
  assert.deepEqual(told, ["exe_", "a\n", "ZeroDivisionError: division by zero", "is four false", "error"]);

  await session.files.upload("dir/ä.bin", new Uint8Array([0, 255]));
  await session.files.upload("b.txt", Buffer.from("b"));
  assert.deepEqual([...(await session.files.download("dir/ä.bin")).content], [0, 255]);
  const entries = await session.files.list("", { recursive: true });
  assert.deepEqual(
    entries.map((entry) => entry.path),
    ["b.txt", "dir", "dir/ä.bin"],
  );

  const signal = AbortSignal.timeout(200);
  await assert.rejects(session.run("while True: pass", { signal, timeout: 20 }), { name: "TimeoutError" });
  await session.interrupt();

  const error = await tci.sessions.get("ses_none").catch((problem: unknown) => problem);
  assert.ok(error instanceof SessionNotFound && error instanceof TCIError);
  assert.equal(error.code, "session_not_found");

  assert.equal((await run({ code: "6 * 7" })).result, 42);
  // @ts-expect-error -- a wrong type is found by the compiler
  await assert.rejects(tci.run({ code: 5 }), TypeError);
  // @ts-expect-error -- and so is a name of the wire
  await assert.rejects(tci.run({ code: "1", max_output_bytes: 5 }), TypeError);
}

main().then(
  () => {
    console.log("ok");
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
