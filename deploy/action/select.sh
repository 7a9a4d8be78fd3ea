#!/usr/bin/env bash
# Which documents: copies them, so that their names are never arguments, and links lead nowhere.
# Takes PATHS, CHANGED_ONLY, BASE; gives `count`.
set -euo pipefail
work=$RUNNER_TEMP/longsum
rm -rf "$work"
mkdir -p "$work/documents"
cd "$GITHUB_WORKSPACE"

paths=()
# shellcheck disable=SC2153
while IFS= read -r line; do
  if [ -n "$line" ]; then paths+=("$line"); fi
done <<<"$PATHS"
if [ "${#paths[@]}" -eq 0 ]; then paths=(.); fi

# The commit, which a shallow checkout has to fetch; fails where there is none, as on a new branch.
find_base() {
  local from='.pull_request.base.sha // .merge_group.base_sha // .before // ""'
  local base=${BASE:-$(jq -r "$from" "$GITHUB_EVENT_PATH")}
  if [[ $base =~ ^0*$ ]]; then return 1; fi
  git rev-parse --quiet --verify --end-of-options "$base^{commit}" && return
  git fetch --quiet --no-tags --depth=1 origin -- "$base" && git rev-parse --verify FETCH_HEAD
}
if [ "$CHANGED_ONLY" = true ] && base=$(find_base); then
  git diff -z --name-only --no-renames --diff-filter=d "$base" HEAD -- "${paths[@]}" >"$work/names"
else
  if [ "$CHANGED_ONLY" = true ]; then
    echo '::notice title=longsum::there is no commit to compare with: all documents are summarized'
  fi
  git ls-files -z -- "${paths[@]}" >"$work/names"
fi

# As `longsum folder/` chooses.
shopt -s nocasematch
known='\.((pdf|x?html?|epub|doc[xm]|dotx|o[dt]t|rtf|eml|mbox|mht(ml)?|md|markdown|mdown|mkd|te?xt)(\.gz)?|zip)$'
count=0
while IFS= read -r -d '' path; do
  if [[ $path =~ $known && /$path != */.* && -f ./$path && ! -L ./$path ]]; then
    target=$work/documents/$path
    mkdir -p -- "${target%/*}"
    cp -- "./$path" "$target"
    count=$((count + 1))
  fi
done <"$work/names"

echo "count=$count" >>"$GITHUB_OUTPUT"
if [ "$count" -eq 0 ]; then
  echo 'No document to summarize.' | tee -a "$GITHUB_STEP_SUMMARY"
fi
