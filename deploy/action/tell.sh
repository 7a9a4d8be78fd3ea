#!/usr/bin/env bash
# Writes the job's summary and annotations, and packs the reports. Takes REPORTS.
set -euo pipefail
here=$(dirname "$0")
work=$RUNNER_TEMP/longsum
if [ ! -e "$REPORTS/run.json" ]; then exit 0; fi # nothing was started; gate.sh says so
tar -C "$REPORTS" -czf "$work/reports.tar.gz" .

# Reports are found by what they are about, not by their names.
find "$REPORTS" -type f -name '*.json' -exec jq -c '
  select(.schema == "longsum.summary.v1")
  | {key: .source.sha256, value: {pages_are: .source.pages_are, statements: .summary.statements}}
' {} + >"$work/statements"

tell() {
  jq -rn --arg part "$1" --slurpfile run "$REPORTS/run.json" --slurpfile reports "$work/statements" \
    -f "$here/tell.jq"
}
tell annotations
tell all >"$work/summary.md"
# A job's summary has room for one megabyte.
if [ "$(wc -c <"$work/summary.md")" -gt 1000000 ]; then tell table >"$work/summary.md"; fi
head -c 1000000 "$work/summary.md" >>"$GITHUB_STEP_SUMMARY"
