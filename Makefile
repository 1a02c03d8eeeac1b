# Every target sets up what it needs: a bare clone, Python 3.11 and make are enough. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# Which Python makes .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)

# Which build of torch is installed: pip's options for it, as PyTorch's installation page names them for its CPU build or
# for a CUDA version. Empty takes what pip finds by itself. Heeded when .venv is first made (afterwards: make clean, then
# make setup TORCH_PIP_OPTIONS=...).
TORCH_PIP_OPTIONS ?=

# How many processes run the suite.
TEST_WORKERS ?= 2

BIN := .venv/bin
READY := .venv/.set-up
TORCH_PIN = $(shell grep '^torch==' constraints.txt)
CODE := benchmarks demo deploy gateway mirage mirage_engine protos servicekit services tests

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- set-up ----------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(READY) ## Make .venv with everything in it, unless it is there.
	@:

$(READY): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
		|| { echo "Mirage needs Python 3.11; found: $(PYTHON). Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up .venv; the first time this downloads packages."
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@test -z "$(TORCH_PIP_OPTIONS)" || $(BIN)/python -m pip install --quiet --no-deps $(TORCH_PIP_OPTIONS) $(TORCH_PIN)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

.PHONY: chromium
chromium: # A browser for the slow tests: Debian's package, where we may install it.
	@found() { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; \
	found && exit 0; \
	if [ "$$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi; \
	if command -v apt-get >/dev/null && $$as_root true 2>/dev/null; then \
		{ $$as_root apt-get update -qq && $$as_root apt-get install -y -qq --no-install-recommends chromium; } >/dev/null || true; \
	fi; \
	found && exit 0; \
	echo "!!! NO BROWSER, SO NO TESTS IN A BROWSER: Chromium is not installed, and could not be." >&2; \
	[ "$${CI:-false}" != true ]

# --- running ---------------------------------------------------------------------------------------------------------

.PHONY: run
run: $(READY) ## Serve the whole platform until Ctrl-C (LOGS=1 shows the logs, MIRAGE_PORT=8081 takes another port).
	@$(BIN)/python -m deploy.local $(if $(LOGS),--logs)

.PHONY: demo
demo: $(READY) ## From a real table to synthetic ones, through the whole platform (KEEP=1 goes on serving).
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

.PHONY: admin
admin: $(READY) ## Make an administrator: make admin EMAIL=ada@example.org
	@test -n "$(EMAIL)" || { echo "Whose? For example: make admin EMAIL=ada@example.org" >&2; exit 2; }
	@$(BIN)/python -m deploy.local exec auth -- python -m services.auth.admin create --email "$(EMAIL)"

.PHONY: rotate-keys
rotate-keys: $(READY) ## Make a new key to sign tokens with; it takes over by itself, and old tokens live out their time.
	@$(BIN)/python -m deploy.local rotate-keys

.PHONY: rotate-audit-keys
rotate-audit-keys: $(READY) ## Make a new key to sign the log with; what older ones signed is still checked with their public halves.
	@$(BIN)/python -m deploy.local rotate-audit-keys

.PHONY: sweep
sweep: $(READY) ## Look for objects without rows, and rows without objects, while the platform runs (DRY=1 removes nothing).
	@failed=0; for service in dataset generation; do \
		$(BIN)/python -m deploy.local exec "$$service" -- python -m "services.$$service.sweep" $(if $(DRY),--dry-run) \
			|| failed=1; \
	done; exit $$failed

.PHONY: bench
bench: $(READY) ## Measure what the claims of speed rest on (ONLY="upload status": these alone).
	@$(BIN)/python -m benchmarks $(ONLY)

.PHONY: bench-engine
bench-engine: $(READY) ## Measure Mirage's own models beside others: ADULT=adult.data (SEEDS=3, ONLY="autoregressive sdv-ctgan-300").
	@$(BIN)/python -m benchmarks.engine "$(ADULT)" $(if $(SEEDS),--seeds $(SEEDS)) $(if $(ONLY),--only $(ONLY)) \
		$(if $(ARGN_PYTHON),--argn-python "$(ARGN_PYTHON)") $(if $(OUT),--out "$(OUT)")

# --- tests and checks ------------------------------------------------------------------------------------------------

.PHONY: test
test: $(READY) ## Run the suite.
	@$(BIN)/pytest -n $(TEST_WORKERS) --dist loadgroup -m "not slow"

.PHONY: test-slow
test-slow: $(READY) chromium ## Run what takes longer: faults, browsers, many seeds.
	@$(BIN)/pytest -n $(TEST_WORKERS) --dist loadgroup -m slow

.PHONY: check
check: lint test ## Lint, then run the suite.

.PHONY: lint
lint: $(READY) ## Check style, types and contracts; that nothing generated has drifted, and no caller is broken.
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy $(CODE)
	@$(BIN)/python -m protos.generate --check
	@$(BIN)/python -m protos.check

# --- contracts -------------------------------------------------------------------------------------------------------

.PHONY: protos
protos: $(READY) ## Make the stubs, the gateway's descriptor set and the OpenAPI document from the contracts.
	@$(BIN)/python -m protos.generate

.PHONY: protos-release
protos-release: $(READY) ## Take the contracts as they are for what the next ones must not break; at each release.
	@$(BIN)/python -m protos.check --release

# --- database --------------------------------------------------------------------------------------------------------

SERVICE_OPTION = $(if $(SERVICE),--service "$(SERVICE)")

.PHONY: db-upgrade db-downgrade db-revision db-history db-current db-reset
db-upgrade: $(READY) ## Bring the schemas up to date (SERVICE=auth: that one only; REV=: to a revision).
	@$(BIN)/python -m deploy.local db upgrade $(SERVICE_OPTION) $(if $(REV),--revision "$(REV)")

db-downgrade: $(READY) ## Take the schemas one revision back (SERVICE=, REV= as above).
	@$(BIN)/python -m deploy.local db downgrade $(SERVICE_OPTION) $(if $(REV),--revision "$(REV)")

db-revision: $(READY) ## Write a migration from what changed in a service's models: SERVICE=auth m="why"
	@test -n "$(SERVICE)" -a -n "$(m)" || { echo 'Like this: make db-revision SERVICE=auth m="add a phone number"' >&2; exit 2; }
	@$(BIN)/python -m deploy.local db revision $(SERVICE_OPTION) --message "$(m)"

db-history: $(READY) ## List the revisions.
	@$(BIN)/python -m deploy.local db history $(SERVICE_OPTION)

db-current: $(READY) ## Tell which revision each schema is at.
	@$(BIN)/python -m deploy.local db current $(SERVICE_OPTION)

db-reset: $(READY) ## Remove all stored data for good (YES=1: without asking).
	@$(BIN)/python -m deploy.local db reset $(SERVICE_OPTION) $(if $(YES),--yes)

# --- tidying ---------------------------------------------------------------------------------------------------------

.PHONY: clean
clean: ## Remove .venv and everything generated that isn't committed; the data in .mirage stay.
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
