#!/usr/bin/env bash
# Builds the program from the source of this action, of the same version. Takes LONGSUM: where to.
set -euo pipefail
cd "$GITHUB_ACTION_PATH"
# A cached program meets runners of other processors; the default is that of the machine at hand.
case $RUNNER_ARCH in
  X64) export RUSTFLAGS='-C target-cpu=x86-64-v3' ;;
  *) export RUSTFLAGS='-C target-cpu=generic' ;;
esac
cargo build --release --locked --bin longsum --target-dir "$RUNNER_TEMP/longsum-target"
mkdir -p "$(dirname "$LONGSUM")"
cp "$RUNNER_TEMP/longsum-target/release/longsum" "$LONGSUM"
