#!/bin/sh
# Locks the dependencies by name, version and hash, for every platform, with no addresses in the files.
# `requirements.lock` is a machine that runs the fleet natively; the image needs no servers of its own, and builds apart.
set -eu
options="--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links
  --no-header --no-annotate --no-emit-package fleet-contracts --no-emit-package fleet-sdk"
# shellcheck disable=SC2086
lock() { .venv/bin/uv pip compile $options "$@"; }
lock --extra native pyproject.toml requirements-build.in -o requirements.lock
lock --extra native --extra dev -c requirements.lock pyproject.toml requirements-build.in -o requirements-dev.lock
lock -c requirements.lock pyproject.toml -o requirements-image.lock
lock -c requirements.lock requirements-build.in requirements-wheels.in -o requirements-build.lock
