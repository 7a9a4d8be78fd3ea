#!/usr/bin/env bash
# All scripts of deploy/ and its tests are sound, and choose the documents that longsum would.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts=(deploy/action/*.sh deploy/slurm/*.sbatch tests/deploy/*.sh tests/browser/*.sh)
for script in "${scripts[@]}"; do bash -n "$script"; done

# Both lists of extensions are copies of the one in src/document/kind.rs.
python3 - <<'PY'
import re

kind = open("src/document/kind.rs", encoding="utf-8").read()
extensions = set(re.findall(r'"(\w+)"', re.search(r"EXTENSIONS.*?= \[(.*?)\];", kind, re.S)[1])) | {"zip"}
ray = open("deploy/ray/summarize.py", encoding="utf-8").read()
assert set(re.search(r'SUFFIXES = """(.*?)"""', ray, re.S)[1].split()) == extensions, extensions
action = open("deploy/action/select.sh", encoding="utf-8").read()
known = re.compile(re.search(r"known='(.*)'", action)[1])
assert all(known.search(f"x.{e}") for e in extensions), extensions
assert not any(known.search(name) for name in ("x.rs", "x.doc", "x.zip.gz", "txt", "x.pdf.bak"))
PY

. tests/deploy/tools.sh
"$tools"/bin/shellcheck "${scripts[@]}"
echo 'scripts: sound'
