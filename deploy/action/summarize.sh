#!/usr/bin/env bash
# Runs longsum over the chosen documents; whether the job fails is for gate.sh to say.
# Takes LONGSUM, MODEL, LENGTH, FAIL_ON, OUTPUT; gives `reports`, `exit-code`, `failed`, `unmet`.
set -euo pipefail
work=$RUNNER_TEMP/longsum
reports=${OUTPUT:-$work/reports}
case $reports in
  /*) ;;
  *) reports=$GITHUB_WORKSPACE/$reports ;;
esac
arguments=(. --output="$reports/" --model="$MODEL" --length="$LENGTH")
rm -f -- "$reports/run.json" # of an earlier run
if [ -n "$FAIL_ON" ]; then arguments+=(--fail-on="$FAIL_ON"); fi

# Names of documents are printed, and a line of one could be a command to the runner.
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "::stop-commands::$token"
status=0
(cd "$work/documents" && exec "$LONGSUM" "${arguments[@]}") 2>&1 || status=$?
printf '\n::%s::\n' "$token"

{
  echo "reports=$reports"
  echo "exit-code=$status"
  if [ -e "$reports/run.json" ]; then
    jq -r '"failed=\(.counts.failed)", "unmet=\([.documents[].gates_unmet[]?] | length)"' "$reports/run.json"
  fi
} >>"$GITHUB_OUTPUT"
