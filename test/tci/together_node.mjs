// The runner with together-ai, Together's client for JavaScript. It is used as
// it comes, with its own timeouts and retries; address and key come from the
// environment. What it reads and writes is described in stdio.py.
//
//   node together_node.mjs FOLDER      FOLDER holds node_modules

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { resolve } from "node:path";

const require = createRequire(resolve(process.argv[2], "package.json"));
const Together = require("together-ai");
const { version } = JSON.parse(readFileSync(resolve(process.argv[2], "node_modules/together-ai/package.json"), "utf8"));

const clients = new Map();
function client(key) {
  if (!clients.has(key)) clients.set(key, key === null ? new Together() : new Together({ apiKey: key }));
  return clients.get(key);
}

const operations = {
  async execute(key, args) {
    return { body: await client(key).codeInterpreter.execute(args) };
  },
  async list_sessions(key) {
    return { body: await client(key).codeInterpreter.sessions.list() };
  },
  // The program gives up on a request that it has sent.
  async disconnect(key, { after, ...args }) {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), after * 1000);
    try {
      await client(key).codeInterpreter.execute(args, { signal: controller.signal });
    } catch (problem) {
      if (problem instanceof Together.APIUserAbortError) return {};
      throw problem;
    } finally {
      clearTimeout(timer);
    }
    throw new Error("the run was over before the client went away");
  },
};

function classes(problem) {
  const names = [];
  for (let p = Object.getPrototypeOf(problem); p && p.constructor !== Object; p = Object.getPrototypeOf(p)) {
    names.push(p.constructor.name);
  }
  return names;
}

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");

say({ client: "together-ai " + version, lacks: null });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, key, args } = JSON.parse(line);
  operations[op](key, args).then(
    (answer) => say({ id, answer }),
    (problem) =>
      say({
        id,
        error: {
          classes: classes(problem),
          message: String(problem.message),
          status: problem.status,
          body: problem.error,
          headers: problem.headers ? Object.fromEntries(problem.headers) : undefined,
        },
      }),
  );
}
