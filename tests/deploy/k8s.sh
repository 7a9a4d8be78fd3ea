#!/usr/bin/env bash
# deploy/k8s against the schemas of Kubernetes and the rules that schemas do not tell, and its command in
# what a pod gives it: tests/deploy/k8s.sh LONGSUM
set -euo pipefail
longsum=$(realpath "$1")
cd "$(dirname "$0")/../.."
. tests/deploy/tools.sh
for version in 1.33.0 1.37.0; do
  "$tools"/bin/kubernetes-validate --strict --kubernetes-version "$version" deploy/k8s/*.yaml
done
"$tools"/bin/python tests/deploy/k8s_rules.py deploy/k8s/job.yaml

if ! unshare --mount --net --pid --fork true 2>/dev/null; then
  echo 'skipped: a pod cannot be imitated here'
  exit 0
fi
mapfile -t command < <("$tools"/bin/python -c '
import sys, yaml
container = next(yaml.safe_load_all(sys.stdin))["spec"]["template"]["spec"]["containers"][0]
print(*container["command"], *container["args"], sep="\n")' <deploy/k8s/job.yaml)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/root" "$tmp/archive" "$tmp/reports"
cp samples/*.md samples/*.txt samples/*.html samples/*.pdf "$tmp/archive"
chown 65532:65532 "$tmp/reports"
chmod 755 "$tmp"
n_documents=$(find "$tmp/archive" -type f | wc -l)

# The command on a read-only root, without network, as a user who owns nothing else.
pod() { # INDEX
  # shellcheck disable=SC2016
  unshare --mount --net --pid --fork --kill-child bash -c '
    set -eu
    tmp=$1 longsum=$2 index=$3
    shift 3
    mount -t tmpfs tmpfs "$tmp/root"
    cd "$tmp/root"
    mkdir usr bin dev proc tmp archive reports
    cp "$longsum" bin/longsum
    ln -s usr/lib usr/lib64 .
    for dir in usr dev; do mount --rbind "/$dir" "$dir"; done
    mount --bind ../archive archive
    mount --bind ../reports reports
    mount -t tmpfs tmpfs tmp
    mount -t proc proc proc
    for dir in usr archive; do mount -o remount,bind,ro "$dir"; done
    mount -o remount,ro .
    exec chroot --userspec=65532:65532 . /usr/bin/env -i PATH=/bin JOB_COMPLETION_INDEX="$index" \
      LONGSUM_SHARDS=3 "$@"
  ' pod "$tmp" "$longsum" "$1" "${command[@]}"
}
for index in 0 1 2; do pod "$index"; done
for i in 1 2 3; do [ -e "$tmp/reports/run-$i-of-3.json" ]; done
[ "$(find "$tmp/reports" -name 'run-*-of-3.json' -prune -o -type f -print | wc -l)" -eq "$n_documents" ]
echo "k8s: $n_documents documents in 3 pods"
