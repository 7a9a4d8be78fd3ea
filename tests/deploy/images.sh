#!/usr/bin/env bash
# The Dockerfiles: linted, of exact versions, for nobody's rights. They are not built: that takes Docker and
# images from the network.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/deploy/tools.sh
files=(deploy/Dockerfile deploy/cuda.Dockerfile)
"$tools"/bin/hadolint --failure-threshold style "${files[@]}"
for file in "${files[@]}"; do
  # The stage that is shipped has a user without a name, and no stage is of an image that may change.
  tac "$file" | sed '/^FROM/q' | grep -q '^USER 65532:65532$'
  if grep '^FROM' "$file" | grep -v -E '^FROM [a-z/]+:[0-9]+\.[0-9]+[^ ]*( AS [a-z]+)?$'; then exit 1; fi
  # Built as what is given away is built.
  grep -q 'cargo build --profile dist --locked' "$file"
done
grep -q '^\[profile.dist\]$' Cargo.toml
echo 'images: sound'
