#!/bin/sh
# Makes .venv with a Python that really runs and installs the lock file named as $1, then the fleet itself.
# Every failure is one line that says what to do. `setup.sh --find` only prints the Python it would take.
set -eu

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

# A name on the PATH proves nothing (version managers leave shims that refuse to run): what counts is that it computes.
runs() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1; }

has_venv() { "$1" -c 'import ensurepip, venv' </dev/null >/dev/null 2>&1; }

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    runs "$PYTHON" || fail "PYTHON=$PYTHON does not run, or is older than 3.11"
    has_venv "$PYTHON" || fail "PYTHON=$PYTHON has no venv module; install it (Debian: apt install python3-venv)"
    command -v "$PYTHON"
    return
  fi
  without_venv=
  IFS=: ; set -f
  for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
    for folder in $PATH; do
      candidate=$folder/$name
      if [ -x "$candidate" ] && runs "$candidate"; then
        if has_venv "$candidate"; then printf '%s\n' "$candidate"; return; fi
        without_venv=${without_venv:-$candidate}
      fi
    done
  done
  if [ -n "$without_venv" ]; then
    fail "$without_venv has no venv module; install it (Debian: apt install python3-venv), then try again"
  fi
  fail "no Python 3.11 or newer runs here; install one, or name it: make up PYTHON=/path/to/python3"
}

# Says what is known to go wrong with an installation; $1 is its log, $2 what failed.
explain() {
  if grep -q -i -E 'no space left|disk quota' "$1"; then fail "the disk is full; free 1 GB and try again"; fi
  if grep -q -i 'THESE PACKAGES DO NOT MATCH THE HASHES' "$1"; then
    fail "a downloaded package is not the one that was locked; try again, and if it stays do not trust the network (details: $1)"
  fi
  if grep -q -i -E 'connection|timed out|resol(ve|ution)|unreachable|retry' "$1"; then
    fail "cannot reach the Python package index; check the network, then try again (details: $1)"
  fi
  if grep -q -i 'permission denied' "$1"; then fail "may not write here; make the folder yours (details: $1)"; fi
  fail "$2; the reason stands at the end of $1"
}

if [ "${1:-}" = --find ]; then find_python; exit; fi
lock=$1
log=.cache/setup.log
{ mkdir -p .cache && true >"$log"; } 2>/dev/null || fail "may not write in $PWD; make the folder yours"

if ! { [ -x .venv/bin/python ] && runs .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
  python=$(find_python)
  printf 'setup: making .venv with %s\n' "$python"
  rm -rf .venv
  "$python" -m venv .venv >"$log" 2>&1 || explain "$log" "$python cannot make a virtual environment"
fi

printf 'setup: installing %s (the first time takes a minute)\n' "$lock"
.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r "$lock" >"$log" 2>&1 ||
  explain "$log" "installing failed"
.venv/bin/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation \
  -e libs/contracts -e libs/sdk -e . >>"$log" 2>&1 || explain "$log" "installing the fleet itself failed"
