// Builds dist: the package as ES modules and as CommonJS, with types for both.

import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");

process.chdir(import.meta.dirname ?? new URL(".", import.meta.url).pathname);
rmSync("dist", { recursive: true, force: true });
for (const format of ["esm", "cjs"]) {
  execFileSync(process.execPath, [tsc, "-p", `tsconfig.${format}.json`], { stdio: "inherit" });
}
// Says how Node.js and TypeScript read the files beside it.
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
