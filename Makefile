# What can be run here, for people and for CI alike. It takes Python 3.11 to 3.13 with pip, and make; where `uv` is on
# the PATH it installs, which is quicker. Everything goes into .venv, from requirements/*.lock.

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
# Every file must match a hash, and nothing is built from source: an installation runs no code of a stranger. The locks
# are complete, so nothing is resolved again (pip would, and stumbles over extras of what is pinned).
LOCKED := --require-hashes --only-binary :all: --no-deps

.DEFAULT_GOAL := help
.PHONY: help demo dev test check bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Sync a sample bucket into a file manager on this machine, once, and compare both ends
	$(VENV)/bin/cloudsync demo

dev: $(VENV)/.demo ## Start the sample world and the Dagster web UI, and leave them running
	$(VENV)/bin/cloudsync dev

test: $(VENV)/.test ## Run every test
	$(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: $(VENV)/.test ## Check style, types and layers
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/.test ## Run the benchmarks; each prints a table and writes JSON
	$(PY) -m benchmarks

lock: ## Write requirements/*.lock anew from pyproject.toml (takes uv; UPGRADE=1 moves every version forward)
	@test -n "$(UV)" || { echo "make lock takes uv: pip install uv" >&2; exit 1; }
	$(call compile,test,--extra test)
	$(call compile,demo,--extra demo --constraints requirements/test.lock)
	$(call compile,cluster,--extra cluster --constraints requirements/test.lock)
	$(call compile,runtime,--constraints requirements/test.lock)

clean: ## Remove .venv, caches and build results; never the state folder
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One file for all systems and Pythons, without the address of any index.
compile = $(UV) pip compile --quiet pyproject.toml --group build $(2) $(if $(UPGRADE),--upgrade) --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	--output-file requirements/$(1).lock

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
define install
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip
	$(PY) -m pip install --quiet --disable-pip-version-check $(LOCKED) --requirement requirements/$(1).lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endef
else
define install
	$(UV) pip install --quiet --python $(PY) $(LOCKED) --requirement requirements/$(1).lock
	$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
endef
endif
