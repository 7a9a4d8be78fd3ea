#!/usr/bin/env bash
# action.yml, run step by step as GitHub's runner would: tests/deploy/action.sh LONGSUM
set -euo pipefail
LONGSUM_UNDER_TEST=$(realpath "$1")
export LONGSUM_UNDER_TEST
cd "$(dirname "$0")/../.."
. tests/deploy/tools.sh
if ! command -v jq >/dev/null; then
  echo 'skipped: there is no jq, which the runners of GitHub have'
  exit 0
fi

"$tools"/bin/check-jsonschema --builtin-schema vendor.github-actions action.yml
workflow=$(mktemp --suffix .yml)
trap 'rm -f "$workflow"' EXIT
# shellcheck disable=SC2016
sed -n '/^```yaml$/,/^```$/{/^```/d;p}' deploy/action/README.md >"$workflow"
"$tools"/bin/check-jsonschema --builtin-schema vendor.github-workflows "$workflow"
"$tools"/bin/python tests/deploy/action_runner.py
