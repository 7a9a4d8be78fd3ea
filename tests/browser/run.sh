#!/usr/bin/env bash
# The pages of `--format html` in a real browser: tests/browser/run.sh LONGSUM [CASE]
# Needs Debian's chromium, and asks apt for it where it is not; what cannot be had is skipped, and said so.
set -euo pipefail
longsum=$(realpath "$1")
cd "$(dirname "$0")/../.."
find_chromium() {
  command -v chromium || command -v chromium-browser || command -v google-chrome
}
if ! chromium=$(find_chromium); then
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo 'chromium is not here: asking apt for it'
    { apt-get update && DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install --yes --no-install-recommends chromium fonts-dejavu-core; } \
      >/dev/null 2>&1 || true
  fi
  if ! chromium=$(find_chromium); then
    echo 'skipped: there is no chromium, and it could not be installed'
    exit 0
  fi
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 tests/browser/documents.py "$tmp"
read_as() { # FORMAT DOCUMENT OPTIONS...
  "$longsum" "$2" --quiet --format "$1" "${@:3}"
}
for format in html json; do
  read_as $format samples/flood-inquiry.pdf >"$tmp/report.$format"
  read_as $format "$tmp"/hostile/*.html --length 400 >"$tmp/hostile.$format"
done
read_as html "$tmp/german.txt" >"$tmp/german.html"
# One document of the archive is no PDF, so the run ends with 1.
cp "$tmp"/hostile/*.html samples/*.md samples/*.pdf samples/lighthouse.txt "$tmp/archive/"
read_as html "$tmp/archive" -o "$tmp/index/" 2>/dev/null || [ $? -eq 1 ]
read_as html "$tmp/long.txt" >"$tmp/long.html"

timeout 300 python3 tests/browser/pages.py "$chromium" "$longsum" "$tmp" "${@:2}"
