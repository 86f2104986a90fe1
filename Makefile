# The two commands a newcomer needs are `make up` and `make test`; `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh
export UV_PYTHON_DOWNLOADS := never
BIN := .venv/bin

ARGS ?=

.PHONY: help up down status demo setup setup-dev check test test-docker docker-report chaos bench bench-check lock clean

help: ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: setup ## install what is missing, start the fleet and the simulated bot qe1, print the addresses
	@$(BIN)/supervisor up --with-simulator

down: ## stop the fleet; leaves no process
	@if [ -x $(BIN)/supervisor ]; then $(BIN)/supervisor down; else echo "nothing is installed here, so nothing runs"; fi

status: setup ## every part of the fleet and the age of its last heartbeat
	@$(BIN)/supervisor status

demo: setup ## a month of trading in minutes, on a fleet of its own (options: make demo ARGS="--seed 7")
	@$(BIN)/supervisor demo $(ARGS)

setup: .venv/.installed ## make .venv and install the fleet in it

.venv/.installed: requirements.lock pyproject.toml deploy/setup.sh
	@sh deploy/setup.sh requirements.lock
	@touch $@

setup-dev: .venv/.installed-dev ## the same with everything the tests need

.venv/.installed-dev: requirements-dev.lock pyproject.toml deploy/setup.sh
	@sh deploy/setup.sh requirements-dev.lock
	@touch .venv/.installed $@

check: setup-dev ## lint, types, import rules, unit tests: for every commit
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	@$(BIN)/pytest -m "not real and not faults and not slow and not docker"

test: check ## everything a landing must pass; needs no running fleet and leaves none
	@$(BIN)/pytest -n 2 -m slow
	@$(BIN)/pytest -m "real or faults"

test-docker: setup-dev ## the fleet in containers, where a Docker daemon answers (some minutes)
	@if timeout 20 docker info >/dev/null 2>&1; then TESTCONTAINERS_RYUK_DISABLED=true $(BIN)/pytest -m docker -rs; \
	else echo "test-docker: no Docker daemon answers here, so nothing was tested"; fi

docker-report: setup ## of the running containers: image, size, user, capabilities, limits, ports
	@$(BIN)/python deploy/containers.py

chaos: setup-dev ## the long form: 10,000 simulated histories, 20 kills of a leading gateway
	@HISTORIES=10000 INTERLEAVINGS=1000 $(BIN)/pytest -n 2 -m slow --timeout 3600 tests/simulation
	@KILLS=20 FROZEN_S=10 $(BIN)/pytest -m faults tests/faults/test_standby_faults.py

bench: setup-dev ## speed as ratios to a bare echo, into docs/benchmarks.md (needs wrk; some minutes)
	@$(BIN)/python bench/restart.py
	@$(BIN)/python bench/memory.py
	@$(BIN)/python bench/run.py --write

bench-check: setup-dev ## the same, failing where a target is missed
	@$(BIN)/python bench/run.py --check

lock: ## resolve the dependencies anew into the two lock files
	@sh deploy/lock.sh

clean: ## remove what the tools left behind (not .venv, not .fleet)
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis .import_linter_cache
