.DEFAULT_GOAL := help
DEBIAN := /usr/lib/postgresql/15/bin
# What a change to a rule breaks first, in memory: without databases, sockets and processes.
QUICK ?= tests/architecture tests/domain tests/contract tests/sdk/workflow
.PHONY: help check quick test coverage versions lint types format proto bench captures demo long release

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

check: ## All that CI checks
	.ci/run

quick: ## The tests of a minute, in memory: no database, no socket, no process
	uv run pytest -q --numprocesses=2 -m "not long and not slow" -k "not postgres and not sqlite" $(QUICK)

test: ## The tests alone
	uv run pytest

coverage: ## The tests, with the lines and branches that none of them runs; fails under 95 %
	uv run coverage erase
	uv run pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder --cov --cov-report=term

versions: ## The quick tests on Python 3.11 to 3.14; fails where one is missing
	.ci/versions --all

lint: ## Style, and the arrows between packages
	uv run ruff check
	uv run ruff format --check
	uv run lint-imports

types: ## mypy, strict
	uv run mypy

format: ## Put imports and layout in order
	uv run ruff check --fix
	uv run ruff format

proto: ## Generate the protocol's messages anew
	uv run python packages/runtara-protocol/generate.py

bench: ## Checkpoints a second, beside an echo and bare commits
	uv run python -m benchmarks.checkpoints

demo: ## Import orders while everything crashes
	uv run examples/orders/crash_and_resume.py

long: ## What takes too long for every change; on Debian's PostgreSQL 15 and PgBouncer, too
	@test -x $(DEBIAN)/postgres -a -x /usr/sbin/pgbouncer -a -x /usr/sbin/slurmctld -a -x /usr/sbin/slurmd || \
	    { echo "make long: apt-get install postgresql-15 pgbouncer slurmctld slurmd, for $(DEBIAN)"; exit 1; }
	uv run --group fuzz pytest -m long --verbose --numprocesses=2 --ignore=tests/cli/test_scale.py
	uv run pytest -m long --numprocesses=0 --capture=no tests/cli/test_scale.py
	RUNTARA_TEST_POSTGRES_BIN=$(DEBIAN) uv run pytest --numprocesses=2 --dist=loadfile tests/contract tests/migrations tests/persistence

captures: ## Draw what commands show on a terminal, for the docs
	uv run python packages/runtara-cli/captures.py

release: ## Build, check and tag all packages: make release VERSION=0.2.0
	.ci/release "$(VERSION)"
