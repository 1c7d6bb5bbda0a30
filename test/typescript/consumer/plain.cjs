// A program in plain JavaScript, as CommonJS.

const assert = require("node:assert/strict");
const { TCIClient, InvalidRequestError, run, version } = require("@tci/sdk");

assert.equal(version, require("@tci/sdk/package.json").version);

async function main() {
  const tci = new TCIClient();
  const session = await tci.sessions.create();
  assert.equal((await session.run("1 + 1")).result, 2);
  await assert.rejects(session.files.upload("../x", "y"), InvalidRequestError);
  assert.equal(await session.close(), true);
  assert.equal(await session.close(), true);
  assert.equal((await run({ code: "2" })).result, 2);
}

main().then(() => console.log("ok"));
