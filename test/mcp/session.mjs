// One piece of work through the official MCP client: a chart, files, an error, a
// cancelled run.
//
//   node session.mjs FOLDER stdio COMMAND [ARGUMENT...]
//   node session.mjs FOLDER http URL KEY          FOLDER holds node_modules

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, way, target, ...rest] = process.argv.slice(2);
const require = createRequire(resolve(folder, "package.json"));
const load = (path) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${path}`)));
const { Client } = await load("client/index.js");
const { StdioClientTransport } = await load("client/stdio.js");
const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");

const transport =
  way === "stdio"
    ? new StdioClientTransport({ command: target, args: rest, env: process.env })
    : new StreamableHTTPClientTransport(new URL(target), { requestInit: { headers: { Authorization: `Bearer ${rest[0]}` } } });
const client = new Client({ name: "tcid-test", version: "1" });
client.onerror = (problem) => {
  // The server's SDK answers calls that were cancelled too.
  if (!problem.message.includes("unknown message ID")) console.error(`${way}:`, problem);
};
await client.connect(transport);

const call = (name, args = {}, options) => client.callTool({ name, arguments: args }, undefined, options);
const text = (result) => result.content.filter((block) => block.type === "text").map((block) => block.text).join("");

// The client holds every answer against the tool's output schema, once it has
// the list.
const { tools } = await client.listTools();
assert.ok(tools.length >= 7 && tools.every((tool) => tool.outputSchema && tool.annotations), "the tools are described");

const chart = await call("run_python", {
  code: `import matplotlib.pyplot as plt
x = 41
plt.plot([1, 4, 9])
plt.savefig("chart.png")
plt.show()`,
});
assert.equal(chart.structuredContent.status, "ok", text(chart));
const image = chart.content.find((block) => block.type === "image");
assert.equal(image?.mimeType, "image/png");
assert.equal(Buffer.from(image.data, "base64").subarray(1, 4).toString(), "PNG");
assert.deepEqual(chart.structuredContent.files.map((file) => file.path), ["chart.png"]);

const downloaded = await call("download_file", { path: "chart.png" });
assert.equal(downloaded.content.find((block) => block.type === "image").mimeType, "image/png");

const table = "name,value\nä,1\n€,2\n";
await call("upload_file", { path: "in/table.csv", content: table });
const read = await call("run_python", { code: `import pandas\npandas.read_csv("in/table.csv")["value"].sum().item()` });
assert.equal(read.structuredContent.result, 3, text(read));
assert.equal((await call("download_file", { path: "in/table.csv" })).structuredContent.content, table);
const { resources } = await client.listResources();
const entry = resources.find((resource) => resource.name === "in/table.csv");
assert.equal((await client.readResource({ uri: entry.uri })).contents[0].text, table);
const bytes = Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i)).toString("base64");
await call("upload_file", { path: "bytes.bin", content: bytes, encoding: "base64" });
assert.equal((await call("download_file", { path: "bytes.bin" })).structuredContent.content, bytes);

const failed = await call("run_python", { code: "1 / 0" });
assert.equal(failed.isError, true);
assert.equal(failed.structuredContent.error.name, "ZeroDivisionError");
const missing = await call("download_file", { path: "none" });
assert.ok(missing.isError && text(missing).includes("bytes.bin"), text(missing));

const seen = [];
const abort = new AbortController();
const slow = call(
  "run_python",
  { code: "import time\nfor step in range(600):\n    print('step', step)\n    time.sleep(0.1)" },
  {
    signal: abort.signal,
    onprogress: (progress) => {
      seen.push(progress);
      if (seen.length === 2) abort.abort();
    },
  },
);
await assert.rejects(slow);
assert.ok(seen.length >= 2 && seen[1].progress > seen[0].progress && seen[0].message, JSON.stringify(seen));
const begun = Date.now();
const kept = await call("run_python", { code: "x + 1" });
assert.equal(kept.structuredContent.result, 42, text(kept));
assert.equal(kept.structuredContent.state_lost, false);
assert.ok(Date.now() - begun < 10_000, "the cancelled code ran on");

if (way === "http") await transport.terminateSession();
await client.close();
console.log(`${way}: a chart, files, an error and a cancelled run, by the official client`);
