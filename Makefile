# Everything a developer or operator types here. `make` alone lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV_VERSION := 0.13.9
AUDITOR := $(VENV)/audit
AUDIT_VERSION := 2.10.1
WORKERS ?= 3
PYTEST := $(BIN)/python -m pytest
CONTRACT := tools/contract
CONTRACT_STAMP := $(CONTRACT)/node_modules/.installed
GENERATORS := $(CONTRACT)/.venv
GENERATORS_STAMP := $(GENERATORS)/.installed
PARALLEL := -n $(WORKERS) --dist loadgroup --durations 10

# What Python compiles is kept for the next start, whatever this machine is set to: the tests start many programs.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup servers demo test test-all check format bench openapi contract-tools contract released docs audit clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv and install exactly what the lock names (idempotent)

# The lock is exported to a list with hashes, because that list names no address: it installs from whatever index the
# machine is set up for. pip takes over when uv cannot reach that index (pip alone may know the mirror).
$(STAMP): uv.lock pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Simpul needs Python 3.11 or newer; '$(PYTHON)' is not. Install one, or say which: make setup PYTHON=python3.13" >&2; exit 2; }
	@test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV) || { \
	  echo "No virtual environment could be made. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@test "$$($(BIN)/uv --version 2>/dev/null | cut -d' ' -f2)" = "$(UV_VERSION)" || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@$(BIN)/uv export --quiet --frozen --all-groups --no-emit-project --output-file $(VENV)/requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(VENV)/requirements.txt || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e . || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@
	@echo "set up: $(BIN)/simpul"

servers:
	@bash tools/servers.sh

demo: setup ## start the gateway with ten sample agencies, show the tour, keep serving
	@$(BIN)/simpul demo

test: setup servers ## all tests but those marked slow or external, in one run
	@$(PYTEST) $(PARALLEL) -m "not slow and not external"

test-all: setup servers ## every test
	@$(PYTEST) $(PARALLEL)

check: setup ## style, types, floors, sizes, documentation
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict app tests/support/memory.py tests/contract/datasets
	$(BIN)/lint-imports --no-logo
	$(PYTEST) -q -p no:randomly tests/architecture

format: setup ## put the code into the house's form
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

bench: setup servers ## measure; prints ratios against named peers in the same run
	@$(BIN)/python -m benchmarks

openapi: setup ## write openapi/simpul.json from the code
	@$(BIN)/simpul openapi openapi/simpul.json

contract-tools: $(CONTRACT_STAMP) $(GENERATORS_STAMP) ## install the linters and generators of the API document, exactly as locked (idempotent)

# Like the Python lock, package-lock.json names no address: it installs from whatever registry the machine is set up for.
$(CONTRACT_STAMP): $(CONTRACT)/package-lock.json $(CONTRACT)/package.json $(CONTRACT)/.npmrc
	@command -v npm >/dev/null || { echo "The linters of the API document need Node 20.19 or newer, and npm." >&2; exit 2; }
	@cd $(CONTRACT) && npm ci --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@
	@echo "installed: $(CONTRACT)/node_modules"

# The generator of Python clients stands in an environment of its own: what it needs is not what the gateway needs.
$(GENERATORS_STAMP): $(CONTRACT)/generators.txt $(STAMP)
	@$(BIN)/python -m venv --clear $(GENERATORS)
	@$(BIN)/uv pip install --quiet --python $(GENERATORS)/bin/python --require-hashes -r $< || \
	  $(GENERATORS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
	@echo "installed: $(GENERATORS)"

contract: setup contract-tools ## lint openapi/simpul.json; every finding fails
	@$(BIN)/python $(CONTRACT)/lint.py

released: setup ## make openapi/simpul.json the document that later ones are compared with
	@$(BIN)/python $(CONTRACT)/compatibility.py --renew

docs: setup ## write the reference pages that are made from the code
	@$(BIN)/python tools/write_reference.py

audit: setup ## ask the advisory databases about every locked package; needs the internet, sends names and versions
	@test -x $(AUDITOR)/bin/pip-audit || { $(PYTHON) -m venv $(AUDITOR) && $(AUDITOR)/bin/python -m pip install --quiet "pip-audit==$(AUDIT_VERSION)"; }
	@$(BIN)/uv export --quiet --frozen --all-extras --no-emit-project --format requirements-txt --output-file $(VENV)/locked.txt
	$(AUDITOR)/bin/pip-audit --strict --require-hashes --disable-pip -r $(VENV)/locked.txt
	$(AUDITOR)/bin/pip-audit --strict --require-hashes --disable-pip -r $(VENV)/locked.txt --vulnerability-service osv

clean: ## remove what was made here, except .venv and instances
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
