#!/bin/sh
# Runs the CUDA kernels of attention on the CPU, where no GPU is needed, and compares them with their
# definition. Ends with 0 if all is right, 1 if not, 3 if there is no C++ compiler to run it with.
#
#   tests/kernels/run.sh [KERNELS.cu]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
kernels=${1:-$here/../../src/model/attention_cuda/kernels.cu}
case $kernels in /*) ;; *) kernels=$PWD/$kernels ;; esac
cxx=${CXX:-g++}
if ! command -v "$cxx" >/dev/null; then
  echo "skipped: there is no C++ compiler \`$cxx\`"
  exit 3
fi
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
# Kernels read 16 bytes as numbers of any type, which nvcc allows and g++ must be told to.
"$cxx" -std=c++20 -O2 -march=native -fno-strict-aliasing -Wall -Wextra -Wno-unknown-pragmas -Werror \
  -I "$here/shim" -DKERNELS="\"$kernels\"" -o "$built/test" "$here/test.cpp"
"$built/test"
