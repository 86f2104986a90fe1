#!/bin/sh
# Makes .venv with a Python that really runs and installs the lock file named as $1, then the fleet itself.
# Every failure is one line that says what to do.
set -eu
lock=$1

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

runs() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
    if command -v "$name" >/dev/null 2>&1 && runs "$name"; then command -v "$name"; return; fi
  done
  fail "no Python 3.11 or newer runs here; install one, or name it: make up PYTHON=/path/to/python3"
}

if ! { [ -x .venv/bin/python ] && runs .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
  python=$(find_python)
  printf 'setup: making .venv with %s\n' "$python"
  rm -rf .venv
  "$python" -m venv .venv >/dev/null 2>&1 ||
    fail "$python cannot make a virtual environment; install its venv module (Debian: apt install python3-venv), then try again"
fi

printf 'setup: installing %s (the first time takes a minute)\n' "$lock"
log=.venv/setup.log
.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r "$lock" >"$log" 2>&1 || {
  if grep -q -i 'no space left' "$log"; then fail "the disk is full; free 1 GB and try again"; fi
  if grep -q -i -E 'connection|timed out|resolve|network|retry' "$log"; then
    fail "cannot reach the Python package index; check the network, then try again (details: $log)"
  fi
  fail "installing failed; the reason stands at the end of $log"
}
.venv/bin/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation \
  -e libs/contracts -e libs/sdk -e . >>"$log" 2>&1 || fail "installing the fleet itself failed; the reason stands at the end of $log"
