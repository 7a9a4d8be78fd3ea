#!/usr/bin/env bash
# Measures on a GPU and writes benches/runs/DATE-GPU/{README.md,raw.json}. Builds nothing, and asks the
# network for nothing: programs that were built elsewhere are carried along.
#
#     benches/gpu/run.sh LONGSUM [options for run.py]
#
#     --golden PROGRAM    the example `golden`, built with the same features: compares small models first
#     --reference SCRIPT  a PyTorch yardstick that prints JSON lines, run in turn by --python
#     --try               anywhere, with a tiny model; writes no record
#
# See `run.py --help`. Takes less than ten minutes on one GPU.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
