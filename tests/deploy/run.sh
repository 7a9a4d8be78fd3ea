#!/usr/bin/env bash
# Everything in deploy/: tests/deploy/run.sh LONGSUM
# Of the network only package registries are asked; what cannot be had is skipped, and said so.
set -euo pipefail
longsum=$(realpath "$1")
cd "$(dirname "$0")/../.."
n_failed=0
skipped=()
for test in scripts images k8s action slurm ray; do
  printf '\n-- %s\n' "$test"
  started=$SECONDS status=0
  printed=$(mktemp)
  tests/deploy/"$test".sh "$longsum" 2>&1 | tee "$printed" || status=$?
  while IFS= read -r line; do skipped+=("$test: $line"); done < <(grep '^skipped: ' "$printed" || true)
  rm -f "$printed"
  if [ "$status" -ne 0 ]; then n_failed=$((n_failed + 1)); fi
  printf -- '-- %s: %s in %d s\n' "$test" "$([ "$status" -eq 0 ] && echo passed || echo "FAILED with $status")" $((SECONDS - started))
done
printf '\n'
for line in ${skipped[@]+"${skipped[@]}"}; do printf '%s\n' "$line"; done
[ "$n_failed" -eq 0 ]
