#!/usr/bin/env bash
# Fuzzes the reader of every format. Needs cargo-fuzz and a nightly toolchain.
#
#   fuzz/run.sh [SECONDS] [FORMAT...]
#
# Leaks are not looked for: every document is read in a process of its own, and a reader that is fenced
# off leaves something behind when it panics. What is found lies under fuzz/artifacts; the growing corpus
# under fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-600}
shift || true
formats=("$@")
[ ${#formats[@]} -gt 0 ] || formats=(pdf docx odt epub rtf eml mbox html md txt gz)
failed=()
for format in "${formats[@]}"; do
  case $format in
    docx | odt | epub) target=package ;;
    *) target=any ;;
  esac
  mkdir -p "corpus/$format" "artifacts/$format" "seeds/$format"
  printf '== %s\n' "$format"
  LONGSUM_FUZZ=$format cargo +nightly fuzz run "$target" "corpus/$format" "seeds/$format" -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
    -artifact_prefix="artifacts/$format/" -print_final_stats=1 -detect_leaks=0 2>&1 |
    grep -aE 'stat::|panicked|ERROR|SUMMARY|DONE' || true
  [ -z "$(ls "artifacts/$format")" ] || failed+=("$format")
done
printf 'found something in: %s\n' "${failed[*]:-nothing}"
[ ${#failed[@]} -eq 0 ]
