# Needs Python 3.11 or newer, make and a package index; everything else is installed into .venv on first use.
SHELL := /bin/sh
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
# Three on two processors: a third of a run is waiting. The order is tests/conftest.py's: what takes longest first.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
QUICK := -k "not test_damage and not test_codes and not test_blame"
LOCKING := --quiet --universal --python-version 3.11 --no-header --no-annotate --generate-hashes
export PYTHONUNBUFFERED := 1
# The suites start some hundred processes: without compiled modules each would compile everything again.
unexport PYTHONDONTWRITEBYTECODE
# Another project's, or a shell's: with any of them .venv finds other modules than its own, or not the tests.
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH

.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-browser pictures bench failover mutants fuzz sim lint types imports tests cassettes check advisories sbom fmt lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## pay a backlog at the mock partners and audit the books (ARGS="--seed 7 ...")
	@$(BIN)/gateway demo $(ARGS)

test: lint types imports tests cassettes ## everything that must pass before a change lands: a quarter of an hour on two processors

test-long: $(READY) ## the full sizes: all seeds, all mutants, three demos
	@.ci/suite tests $(PYTEST) --long --timeout 3600 $(ARGS)
	@.ci/suite cassettes $(PYTEST) tests/contract --against cassette
	@.ci/suite mutants $(BIN)/python -m tests.mutants
	@.ci/suite sim $(BIN)/python -m tests.sim --long
	@for seed in 1 2 3; do .ci/suite "demo $$seed" $(BIN)/gateway demo --seed $$seed --workers 2 || exit 1; done

test-browser: $(READY) ## people at the partners' pages and the console in Chromium, which it installs if need be
	@.ci/chromium
	@.ci/suite browser $(BIN)/python -m pytest tests/browser $(ARGS)

pictures: $(READY) ## the pictures of README and docs anew, in Chromium (ARGS="--look FOLDER": every page, to be looked at)
	@.ci/chromium
	@$(BIN)/python -m tests.browser.pictures $(ARGS)

bench: $(READY) ## every goal of speed and what this machine gives, as a table (ARGS="--json FILE --markdown FILE --only payouts")
	@$(BIN)/python -m tests.bench.goals $(ARGS)

failover: $(READY) ## the database's primary killed under 5,000 payouts, its standby promoted: twice
	@.ci/suite failover $(BIN)/python -m pytest --long --timeout 3600 -s tests/crash/test_failover.py $(ARGS)

mutants: $(READY) ## plant bugs and see the suites catch them (ARGS="--family money --only cas/")
	@$(BIN)/python -m tests.mutants $(ARGS)

fuzz: $(READY) ## damaged replies and notifications, which nothing may believe (ARGS="--long --seed 7")
	@$(BIN)/python -m tests.fuzz $(ARGS)

sim: $(READY) ## seeded runs with faults, crashes and restarts (SEEDS=100 SEED=1)
	@$(BIN)/python -m tests.sim --seeds $(or $(SEEDS),100) --seed $(or $(SEED),1) $(ARGS)

check: lint types imports advisories ## the checks that take seconds

advisories: $(READY) ## what is known against the pinned versions, where an index of advisories is reached
	@.ci/supply advisories

sbom: $(READY) ## what the image consists of, as CycloneDX (SBOM=FILE)
	@.ci/supply sbom $(or $(SBOM),sbom.json)

lint: $(READY) ## style and layout
	@.ci/suite lint $(BIN)/ruff check .
	@.ci/suite format $(BIN)/ruff format --check .

types: $(READY) ## static types
	@.ci/suite types $(BIN)/mypy

imports: $(READY) ## which package may import which
	@.ci/suite imports $(BIN)/lint-imports --no-logo

tests: $(READY) ## all test suites in their small size (ARGS="tests/gateway -k valkey")
	@.ci/suite tests $(PYTEST) $(ARGS)

cassettes: $(READY) ## the contract suite over recorded replies instead of the mocks
	@.ci/suite cassettes $(PYTEST) -q -r fE tests/contract --against cassette $(or $(ARGS),$(QUICK))

fmt: $(READY) ## rewrite the code in the house format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: $(READY) ## pin the newest versions that pyproject.toml allows
	@$(BIN)/uv pip compile $(LOCKING) --upgrade --group dev pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile $(LOCKING) --constraint requirements.lock pyproject.toml --output-file image.lock

clean: ## remove the virtual environment and every cache
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find contracts adapters gateway mock_partners tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A .venv leads to the folder that it was made in: a checkout that was moved or copied gets one of its own.
MADE_IN := $(shell cat $(READY) 2>/dev/null)
ifneq ($(or $(MADE_IN),$(CURDIR)),$(CURDIR))
.PHONY: $(READY)
endif

$(READY): pyproject.toml requirements.lock .ci/bootstrap
	@.ci/bootstrap
