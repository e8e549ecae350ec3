# What can be run here, for people and for CI alike. It takes Python 3.11 to 3.13 with pip, and make. Everything goes
# into .venv, from requirements/*.lock; `uv` installs, from the PATH or put into .venv first: pip takes five times as long.

VENV := .venv
PY := $(VENV)/bin/python
UV := $(shell command -v uv 2>/dev/null)
# The first Python found that the project supports; PYTHON=/some/python chooses another.
PYTHON ?= $(shell for one in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$one >/dev/null 2>&1 \
	&& $$one -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$one && break; done)
# Test processes at once, and more arguments for pytest: make test WORKERS=4 ARGS="-k lake".
WORKERS ?= auto
ARGS ?=
# How long `make soak` looks for trouble, on all workers together.
SOAK_MINUTES ?= 30
# Benchmarks: small or full, which ones, how often each, and a folder that keeps the storage's data.
SIZE ?= small
REPEAT ?= 3
ONLY ?=
DATA ?=
# Every file must match a hash, and nothing is built from source: an installation runs no code of a stranger. The locks
# are complete, so nothing is resolved again (pip would, and stumbles over extras of what is pinned).
LOCKED := --require-hashes --only-binary :all: --no-deps
PIP_INSTALL = $(PY) -m pip install --quiet --disable-pip-version-check

# Hundreds of processes are started here: where none may keep its bytecode, each compiles a thousand modules anew, which
# takes most of its time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo dev test soak check bench lock clean setup docs status logs-sync shell initial-sync incremental-sync test-workflow

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Sync a sample bucket into a file manager on this machine, once, and compare both ends
	$(VENV)/bin/cloudsync demo

dev: $(VENV)/.demo ## Start the sample world and the Dagster web UI, and leave them running
	$(VENV)/bin/cloudsync dev

test: $(VENV)/.test ## Run every test
	$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(VENV)/.test ## Look for new faults, kills and stories that break a promise, for SOAK_MINUTES (30)
	SOAK_MINUTES=$(SOAK_MINUTES) $(PY) -m pytest cloudsync_tests/reliability -m soak -n $(WORKERS) --timeout 0 $(ARGS)

check: $(VENV)/.test ## Check style, types and layers
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/.test ## Measure ours beside its peers: tables, JSON, a chart (SIZE, ONLY, REPEAT, DATA)
	$(PY) -m benchmarks --size $(SIZE) --repeat $(REPEAT) $(if $(ONLY),--only $(ONLY)) $(if $(DATA),--data $(DATA))

lock: ## Write requirements/*.lock anew from pyproject.toml (takes uv; UPGRADE=1 moves every version forward)
	@test -n "$(UV)" || { echo "make lock takes uv: pip install uv" >&2; exit 1; }
	$(call compile,test,--extra test)
	$(call compile,demo,--extra demo --constraints requirements/test.lock)
	$(call compile,cluster,--extra cluster --constraints requirements/test.lock)
	$(call compile,runtime,--constraints requirements/test.lock)
	$(UV) pip compile --quiet $(LOCK) --group installer --output-file requirements/installer.lock

setup: $(VENV)/.demo ## Install, and make a configuration to begin with where there is none
	@test -f cloudsync.yaml || { cp deploy/setup/cloudsync.yaml . && mkdir -p integrations && echo "cloudsync.yaml made: add a file to integrations/"; }

docs: $(VENV)/.test ## Write docs/configuration.md anew from the settings
	$(PY) -m cloudsync_pipeline.config.reference > docs/configuration.md

# The next six work on the containers of docker-compose.yml; INTEGRATION=name picks one.
CHOSEN := $(if $(INTEGRATION),--integration $(INTEGRATION))

status: ## Show the integrations of the containers
	./sync_cli.sh status $(CHOSEN)

initial-sync: ## Bring every object over, in the containers
	./sync_cli.sh initial-sync $(CHOSEN)

incremental-sync: ## Bring over what changed, in the containers
	./sync_cli.sh incremental-sync $(CHOSEN)

logs-sync: ## Follow the logs of the containers that sync
	docker compose logs --follow --tail 100 code daemon

shell: ## Open a shell in the container of the code location
	docker compose exec code sh

test-workflow: ## Start the sample in containers, sync it, check it, and remove it again
	deploy/sample/workflow.sh

clean: ## Remove .venv, caches and build results; never the state folder
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One file for all systems and Pythons, without the address of any index.
LOCK = $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"
compile = $(UV) pip compile --quiet pyproject.toml --group build $(2) $(LOCK) --output-file requirements/$(1).lock

# --- the environment -----------------------------------------------------------------------------

$(PY):
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 found. Install one, or name it: make PYTHON=/some/python" >&2; exit 1; }
	$(if $(UV),$(UV) venv --quiet --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))

# The file marks what was installed last; what tests need includes what the demo needs.
$(VENV)/.demo: requirements/demo.lock pyproject.toml | $(PY)
	$(call install,demo)
	@touch $@

$(VENV)/.test: requirements/test.lock pyproject.toml | $(PY)
	$(call install,test)
	@touch $(VENV)/.demo $@

ifeq ($(UV),)
# uv does not read pip's configuration: where only pip knows the way to an index, pip installs.
define install
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip
	$(PIP_INSTALL) $(LOCKED) --requirement requirements/installer.lock
	$(VENV)/bin/uv pip install --quiet --python $(PY) $(LOCKED) --requirement requirements/$(1).lock \
		|| $(PIP_INSTALL) $(LOCKED) --requirement requirements/$(1).lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
endef
else
define install
	$(UV) pip install --quiet --python $(PY) $(LOCKED) --requirement requirements/$(1).lock
	$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
endef
endif
