#!/usr/bin/env bash
# `longsum` as a test needs it: slow.sh worker [OPTION...]
# Takes half a second more for every document, dies of one called `poison`, and takes the process that
# started it along over one called `lethal`. LONGSUM is the real one.
set -o pipefail
while IFS= read -r line; do
  case $line in
    *poison*) kill "$$"; exit ;;
    *lethal*) kill -KILL "$PPID"; exit ;;
  esac
  sleep 0.5
  printf '%s\n' "$line"
done | "$LONGSUM" "$@"
