// Runs code through a proxy that breaks connections wherever it likes: what ran
// must have run once, and what was told must be told once and in order.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TCIClient } from "@tci/sdk";

const ROUNDS = 60;
const direct = new TCIClient();
const unix = direct.baseUrl.startsWith("unix://");
const target = unix ? { path: direct.baseUrl.slice(7) } : { host: "127.0.0.1", port: Number(new URL(direct.baseUrl).port) };

let breaks = 0;
let calm = false;
// Every connection breaks: some before a byte of the answer, when the request has
// arrived, the others after up to 8,000 bytes.
const proxy = createServer((near) => {
  const far = connect(target);
  let left = calm ? Infinity : Math.random() < 0.3 ? 0 : Math.floor(Math.random() * 8000);
  const end = () => {
    near.destroy();
    far.destroy();
  };
  for (const socket of [near, far]) socket.on("error", end).on("close", end);
  near.on("data", (bytes) => far.write(bytes));
  far.on("data", (bytes) => {
    const part = bytes.subarray(0, left);
    left -= part.length;
    near.write(part, () => {
      if (left > 0) return;
      breaks += 1;
      end();
    });
  });
});
const folder = mkdtempSync(join(tmpdir(), "tci-breaks-"));
const place = join(folder, "s");
await new Promise((resolve) => (unix ? proxy.listen(place, resolve) : proxy.listen(0, "127.0.0.1", resolve)));
const baseUrl = unix ? `unix://${place}` : `http://127.0.0.1:${proxy.address().port}`;

const tci = new TCIClient({ baseUrl, maxRetries: 20 });
const session = await tci.sessions.create();
let ran = 0;
try {
  assert.equal((await direct.sessions.list({ state: "ready" })).filter((s) => s.id === session.id).length, 1);
  await session.run("n = 0");
  for (let round = 0; round < ROUNDS; round++) {
    ran += 1;
    if (round % 3 === 0) {
      const execution = await session.run("n += 1\nn");
      assert.equal(execution.result, ran, `round ${round}`);
      continue;
    }
    if (round % 3 === 1) {
      const started = await session.start("n += 1\nn");
      assert.equal((await tci.executions.wait(started.id)).result, ran, `round ${round}`);
      continue;
    }
    const seqs = [];
    let text = "";
    let result;
    for await (const event of session.stream("n += 1\nfor i in range(40): print(i, flush=True)\nn")) {
      seqs.push(event.seq);
      if (event.type === "stdout") text += event.text;
      if (event.type === "finished") result = event.execution.result;
    }
    assert.deepEqual(seqs, seqs.map((_, i) => i + 1), `round ${round}`);
    assert.equal(text, Array.from({ length: 40 }, (_, i) => `${i}\n`).join(""), `round ${round}`);
    assert.equal(result, ran, `round ${round}`);
  }
  assert.equal((await direct.sessions.list()).length, 1, "one session was made");
} finally {
  calm = true;
  await session.close();
  tci.close();
  direct.close();
  proxy.close();
  rmSync(folder, { recursive: true, force: true });
}
assert.ok(breaks > ROUNDS / 10, `only ${breaks} connections broke`);
console.error(`${breaks} connections broke`);
console.log("ok");
