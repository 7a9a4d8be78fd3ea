#!/usr/bin/env bash
# Lays out NVIDIA's compiler and headers from PyPI packages as a CUDA_HOME, about 105 MB of downloads,
# and prints where it lies. Takes the folder to keep it in; does nothing where it is there already.
#
# The compiler stays at 13.0: newer ones write PTX that drivers of the 580 series refuse.
set -euo pipefail
dir=$(mkdir -p "$1" && cd "$1" && pwd)
home=$dir/home
if [ ! -x "$home/bin/nvcc" ]; then
  wheels=${LONGSUM_CUDA_WHEELS:-$dir/wheels}
  if [ -z "${LONGSUM_CUDA_WHEELS:-}" ]; then
    python3 -m pip download --quiet --no-deps --dest "$wheels" \
      nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
      nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 >&2
  fi
  tmp=$(mktemp -d "$dir/unpack.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  for wheel in "$wheels"/*.whl; do python3 -m zipfile -e "$wheel" "$tmp"; done
  chmod -R a+rx "$tmp/nvidia/cu13/bin" "$tmp/nvidia/cu13/nvvm" # unzipping drops what may be run
  ln -s lib "$tmp/nvidia/cu13/lib64"
  mv "$tmp/nvidia/cu13" "$home"
fi
echo "$home"
