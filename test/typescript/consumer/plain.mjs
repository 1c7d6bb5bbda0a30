// A program in plain JavaScript, as an ES module.

import assert from "node:assert/strict";
import * as sdk from "@tci/sdk";
import { TCIClient } from "@tci/sdk";

const tci = new TCIClient();
const session = await tci.sessions.create();
try {
  assert.equal((await session.run("x = 20\nx * 2 + 2")).result, 42);
  const started = await session.start("import time; time.sleep(0.3); 'done'");
  assert.equal((await tci.executions.wait(started.id)).result, "done");
  const types = [];
  for await (const event of tci.executions.resume(started.id)) types.push(event.type);
  assert.deepEqual(types, ["started", "execute_result", "finished"]);
  await assert.rejects(session.files.download("missing"), sdk.RemoteFileNotFound);
  await assert.rejects(session.run("1", { timout: 1 }), /unknown option "timout"/);
} finally {
  await session.close();
}
assert.equal((await sdk.run({ code: "print('hello')" })).stdout, "hello\n");
console.log("ok");
