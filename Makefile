# Two commands matter: `make demo` and `make test`. Options go through ARGS="…".
PYTHON ?= python3.11
ARGS ?=
ONLY ?=
WORKERS ?= 2

.PHONY: help demo test attacks containers lint bench setup dev lock clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: setup  ## Run everything, from a catalogue to an answered search (ARGS="--source dir:PATH --products 3000 --exit")
	@.venv/bin/tejido demo $(ARGS)

test: setup dev  ## Run the whole test suite (ARGS="-k name")
	@.venv/bin/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(ARGS)

attacks: setup dev  ## Attack the running services, the long attacks too (docs/how-to/attacks.md; a quarter of an hour)
	@.venv/bin/python -m pytest -n 0 -m attack tests/attacks $(ARGS)

containers: setup dev  ## Build the images and run docker-compose.yaml for real (as root; a quarter of an hour)
	@.venv/bin/python -m pytest -x -m containers tests/acceptance/compose $(ARGS)

lint: dev  ## Check style and types
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

bench: setup dev  ## Run the benchmarks (ONLY=name for one)
	@for name in $(or $(ONLY),$$(grep -l __main__ benchmarks/*.py | xargs -n 1 basename -s .py)); do \
		echo "== $$name"; .venv/bin/python -m benchmarks.$$name || exit 1; done

setup:  ## Make both environments, or do nothing when they are up to date
	@PYTHON=$(PYTHON) scripts/setup.sh platform airflow

dev:
	@PYTHON=$(PYTHON) scripts/setup.sh platform dev

lock:  ## Resolve the lock files anew (UPGRADE=1 to raise versions)
	@PYTHON=$(PYTHON) scripts/lock.sh

clean:  ## Remove the environments and the state of the demo
	rm -rf .venv .venv-airflow .tejido .mypy_cache .ruff_cache .pytest_cache *.egg-info
