#!/usr/bin/env bash
# What a program built with CUDA says where there is no GPU: nothing may panic. Takes the program.
#
# Libraries that stand in for the driver are made with the C compiler: one without a GPU, and one with one
# GPU that cannot be opened.
set -euo pipefail
longsum=$(realpath "$1")
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n_failed=0

check() { # NAME CODE TEXT COMMAND...
  local name=$1 code=$2 text=$3 status=0
  shift 3
  "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
  if [ "$status" -ne "$code" ] || ! grep -q -- "$text" "$tmp/out" "$tmp/err" || grep -q panicked "$tmp/err"; then
    n_failed=$((n_failed + 1))
    printf 'FAILED: %s: code %d, not %d, or no "%s"\n' "$name" "$status" "$code" "$text"
    tail -5 "$tmp/err"
  else
    printf 'ok: %s: %s\n' "$name" "$(grep -m1 -hE 'error|warning' "$tmp/err" || true)"
  fi
}

# A driver of these functions only: the others are not there.
driver() { # NAME CODE_OF_INIT N_GPUS
  mkdir -p "$tmp/$1"
  printf '%s\n' "int cuInit(unsigned f) { return $2; }" \
    "int cuDeviceGetCount(int *n) { *n = $3; return 0; }" \
    'int cuGetErrorString(int e, const char **s) { *s = "said by a stand-in"; return 0; }' \
    'int cuDriverGetVersion(int *v) { *v = 13000; return 0; }' >"$tmp/driver.c"
  cc -shared -fPIC -o "$tmp/$1/libcuda.so.1" "$tmp/driver.c"
}
driver none 100 0
driver one 0 1
driver broken 999 0

document=samples/lighthouse.txt
# A model that writes; it is never loaded, as the device comes first.
model=$tmp/model.gguf
echo GGUF >"$model"
with() { env LD_LIBRARY_PATH="$tmp/$1" "${@:2}"; }

check 'auto' 0 '"summary"' "$longsum" "$document" --quiet
check 'cpu' 0 '"summary"' "$longsum" "$document" --quiet --device cpu
check 'the built-in model' 2 'built-in model' "$longsum" "$document" --device cuda
check 'no driver' 2 'driver cannot be used' "$longsum" "$document" -m "$model" --device cuda
check 'no driver, auto' 2 'damaged\|cannot read' "$longsum" "$document" -m "$model"
check 'a driver without a GPU' 2 'finds no GPU' with none "$longsum" "$document" -m "$model" --device cuda
check 'a broken driver' 2 'driver cannot be used' with broken "$longsum" "$document" -m "$model" --device cuda
check 'too high a number' 2 'there is 1 GPU' with one "$longsum" "$document" -m "$model" --device cuda:3
check 'a GPU that cannot be opened' 2 'cannot be used' with one "$longsum" "$document" -m "$model" --device cuda
check 'the same, auto' 2 'warning' with one "$longsum" "$document" -m "$model"
check 'f16 on the CPU' 2 'computes in f32' "$longsum" "$document" --device cpu --dtype f16
check 'Metal' 2 'no support for Metal' "$longsum" "$document" -m "$model" --device metal
exit $((n_failed > 0))
