import { defineConfig, globalIgnores } from "eslint/config";
import jsdoc from "eslint-plugin-jsdoc";
import tseslint from "typescript-eslint";

export default defineConfig([
  globalIgnores(["build", "dist", "node_modules"]),
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // What an index signature has is written as one, as noPropertyAccessFromIndexSignature wants it.
      "@typescript-eslint/dot-notation": ["error", { allowIndexSignaturePropertyAccess: true }],
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_", argsIgnorePattern: "^_" }],
      eqeqeq: ["error", "always", { null: "ignore" }],
    },
  },
  {
    // What the package shows; the other files are its own.
    files: [
      "client",
      "errors",
      "events",
      "executions",
      "files",
      "models",
      "options",
      "session",
      "sessions",
      "specs",
      "stream",
    ].map((name) => `src/${name}.ts`),
    plugins: { jsdoc },
    rules: {
      "jsdoc/require-jsdoc": [
        "error",
        {
          publicOnly: true,
          require: { ClassDeclaration: true, FunctionDeclaration: true, MethodDefinition: true },
          contexts: [
            "TSInterfaceDeclaration",
            "TSTypeAliasDeclaration",
            "TSPropertySignature",
            "PropertyDefinition[accessibility!='private']:not([key.type='PrivateIdentifier'])",
          ],
        },
      ],
      "jsdoc/check-tag-names": ["error", { typed: true, definedTags: ["internal", "packageDocumentation"] }],
      "jsdoc/no-types": "error",
    },
  },
  {
    // node:test waits for what these return by itself.
    files: ["tests/**/*.ts"],
    rules: {
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          allowForKnownSafeCalls: [
            { from: "package", package: "node:test", name: ["test", "describe", "it", "suite"] },
          ],
        },
      ],
    },
  },
]);
