#!/bin/sh
# Locks the dependencies by name, version and hash, for every platform, with no addresses in the files.
set -eu
options="--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links
  --no-header --no-annotate --no-emit-package fleet-contracts --no-emit-package fleet-sdk"
# shellcheck disable=SC2086
.venv/bin/uv pip compile $options pyproject.toml requirements-build.in -o requirements.lock
# shellcheck disable=SC2086
.venv/bin/uv pip compile $options --extra dev -c requirements.lock pyproject.toml requirements-build.in -o requirements-dev.lock
