#!/usr/bin/env bash
# deploy/ray on a Ray cluster of two nodes, on this machine alone: tests/deploy/ray.sh LONGSUM
# Loses a worker and a node midway. Ray comes from PyPI and is kept in target/deploy/ray.
set -euo pipefail
longsum=$(realpath "$1")
cd "$(dirname "$0")/../.."
venv=target/deploy/ray wanted=deploy/ray/requirements.txt

if ! cmp -s "$wanted" "$venv/installed"; then
  rm -rf "$venv"
  if ! { python3 -m venv "$venv" && "$venv"/bin/pip install --quiet -r "$wanted"; }; then
    echo 'skipped: ray could not be installed'
    exit 0
  fi
  cp "$wanted" "$venv/installed"
fi
RAY_USAGE_STATS_ENABLED=0 LONGSUM=$longsum timeout --kill-after 30 280 \
  "$venv"/bin/python tests/deploy/ray_cluster.py
