#!/usr/bin/env bash
# deploy/k8s against the schemas of Kubernetes, and the rules that schemas do not tell.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/deploy/tools.sh

for version in 1.33.0 1.37.0; do
  "$tools"/bin/kubernetes-validate --strict --kubernetes-version "$version" deploy/k8s/*.yaml
done
"$tools"/bin/python tests/deploy/k8s_rules.py deploy/k8s/job.yaml
