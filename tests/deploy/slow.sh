#!/usr/bin/env bash
# `longsum` as a test needs it: slow.sh worker [OPTION...]
# Takes half a second more for every document, dies of one called `poison`, and takes the process that
# started it along over one called `lethal`. LONGSUM is the real one.
slowly() {
  while IFS= read -r line; do
    case $line in
      *poison*) kill -KILL "$$" ;;
      *lethal*) kill -KILL "$PPID" ;;
    esac
    sleep 0.5
    printf '%s\n' "$line"
  done
}
exec "$LONGSUM" "$@" < <(slowly)
