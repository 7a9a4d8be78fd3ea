#!/usr/bin/env bash
# Where the program is. Takes LONGSUM; gives `path`, and where it has to be built a `key` to cache it.
set -euo pipefail
if [ -n "$LONGSUM" ]; then
  if ! path=$(command -v -- "$LONGSUM"); then
    echo '::error title=longsum::the input longsum names no program'
    exit 2
  fi
elif ! path=$(command -v longsum); then
  path=$RUNNER_TEMP/longsum-program/longsum
  cd "$GITHUB_ACTION_PATH"
  sum=$(find Cargo.toml Cargo.lock src models templates -type f -exec sha256sum {} + | sort | sha256sum)
  echo "key=longsum-$RUNNER_OS-$RUNNER_ARCH-${sum%% *}" >>"$GITHUB_OUTPUT"
fi
case $path in
  /*) ;;
  *) path=$PWD/$path ;;
esac
echo "path=$path" >>"$GITHUB_OUTPUT"
