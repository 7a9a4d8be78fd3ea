#!/usr/bin/env bash
# Builds the program for NVIDIA GPUs on a machine that need not have one: no driver, no toolkit, only
# cargo, a C++ compiler and Python's pip. What comes out starts on every machine, with or without
# CUDA, and loads its libraries when a GPU is first asked for. docs/gpu.md tells more.
#
#     deploy/gpu/build.sh [OPTIONS FOR CARGO...]
#
# CUDA_COMPUTE_CAP: the GPU's compute capability without its point (90). CUDAFORGE_THREADS: compilers
# at once (half of the cores). LONGSUM_GPU_DIR: where to work (target/gpu). Prints the program's place.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${LONGSUM_GPU_DIR:=$root/target/gpu}"
dir=$(cd "$LONGSUM_GPU_DIR" && pwd)

CUDA_HOME=$("$root/deploy/gpu/toolkit.sh" "$dir")
export CUDA_HOME PATH="$CUDA_HOME/bin:$PATH"
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90} # or the build asks nvidia-smi
export CUDARC_CUDA_VERSION=13000                # the version of the bindings
export RUSTFLAGS=${RUSTFLAGS:--C target-cpu=x86-64-v3} # the program travels

# The source as it is, seen through links, so that Cargo.lock stays what it is.
tree=$dir/tree
rm -rf "$tree" && mkdir "$tree"
for file in "$root"/* "$root"/.cargo; do
  case ${file##*/} in
    target) ;;
    Cargo.lock) cp "$file" "$tree" ;;
    *) ln -s "$file" "$tree" ;;
  esac
done
cd "$tree"

# candle-core links CUDA when it is built; the same binding can load it at run time instead.
crate=$(cargo metadata --locked --format-version 1 |
  python3 -c 'import json, os, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == "candle-core": print(os.path.dirname(package["manifest_path"]))')
patched=$dir/${crate##*/}
if [ ! -d "$patched" ]; then
  if [ "$(grep -c '"dynamic-linking"' "$crate/Cargo.toml")" != 1 ]; then
    echo "candle-core no longer says \"dynamic-linking\" once: look at $crate/Cargo.toml" >&2
    exit 1
  fi
  rm -rf "$patched.new" # of a run that was stopped
  cp -a "$crate" "$patched.new"
  sed -i 's/"dynamic-linking"/"dynamic-loading"/' "$patched.new/Cargo.toml"
  mv "$patched.new" "$patched"
fi

# candle-kernels asks for the CUDA runtime; a static one under that name is put into the program.
mkdir -p "$dir/static"
cp "$CUDA_HOME/lib/libcudart_static.a" "$dir/static/libcudart.a"
export LIBRARY_PATH="$dir/static"

cargo build --release --features cuda --bin longsum --target-dir "$dir/build" \
  --config "patch.crates-io.candle-core.path='$patched'" "$@" >&2
strip -o "$dir/longsum" "$dir/build/release/longsum"
echo "$dir/longsum"
