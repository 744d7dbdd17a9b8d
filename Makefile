# Outdial. `make help` lists what there is.
# Needs Python 3.11 or newer, pip and make; everything else is set up here, under .venv/ and var/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ONLY ?=
# Processes that run tests, which wait more than they work: parts, and whole stacks (2: one by sound, a
# telephone network in real time, and beside it those without sound; 1: one after the other).
WORKERS ?= 4
STACKS ?= 1
# With ONLY, one of the two passes may well have no test that matches: pytest says so with exit 5.
NONE_MATCHED = { code=$$?; test $$code = 5 && test -n "$(ONLY)" || exit $$code; }
CHAOS := dialing fleet
BENCHES := router media turns dialing

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-unit chaos bench lint format lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## Make the virtual environment from the lock (the other commands do it by themselves)

# The lock is installed with its hashes; the project itself is linked in place.
$(READY): requirements.lock pyproject.toml
	@echo "Setting up $(VENV): about 150 locked wheels, a minute or two the first time."
	@$(PYTHON) -c 'import sys; sys.exit("Outdial needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": set PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -qq --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: $(READY) ## Run a campaign in the sandbox: three minutes, no account
	@$(BIN)/outdial demo

up: $(READY) ## Run Outdial with the sandbox until Ctrl-C (for real calls: .venv/bin/outdial up)
	@$(BIN)/outdial up --sandbox

test: $(READY) ## Every test except the long ones (ONLY=words: those whose name matches)
	@echo "Rules, and parts against real stores and the sandbox ($(WORKERS) processes):"
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not chaos and not acceptance" $(if $(ONLY),-k "$(ONLY)") || $(NONE_MATCHED)
	@echo "Whole stacks, with sound and without ($(STACKS) processes):"
	@$(BIN)/pytest -n $(STACKS) --dist loadscope tests/acceptance tests/chaos -m acceptance $(if $(ONLY),-k "$(ONLY)") || $(NONE_MATCHED)

test-unit: $(READY) ## The rules only: seconds, no sockets
	@$(BIN)/pytest tests/unit tests/property

chaos: $(READY) ## Kill, freeze and restart processes under live calls (ONLY=dialing): var/chaos/
	@for each in $(or $(ONLY),$(CHAOS)); do $(BIN)/python tests/chaos/$$each.py || exit 1; done

bench: $(READY) ## Measure against a peer or a limit in one run (ONLY=router): var/bench/
	@for each in $(or $(ONLY),$(BENCHES)); do $(BIN)/python tests/benchmarks/$$each.py || exit 1; done

lint: $(READY) ## Format, lint, types, import layers, lock
	@$(BIN)/ruff format --check --quiet . || { echo "run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@out=$$($(BIN)/lint-imports --no-cache) || { echo "$$out"; exit 1; }; echo "$$out" | tail -n 3
	@! grep -nE 'https?://|--(extra-)?index-url|file:' requirements.lock || { echo "requirements.lock names an index: run 'make lock'"; exit 1; }

format: $(READY) ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

lock: $(READY) ## Resolve pyproject.toml anew into requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock

clean: ## Remove what was set up and written (.venv, var)
	@rm -rf $(VENV) var
