# make help lists what there is. Every target but clean makes .venv first.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo
UTKFACE ?= UTKFace.tar.gz

.DEFAULT_GOAL := help
.PHONY: help setup demo app test test-all coverage mutants lint types audit bench clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/installed  ## make .venv and install the project with all extras

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	touch $@

demo: setup  ## train and test the seed network on portraits drawn by code: about 2 minutes
	rm -rf $(DEMO)
	$(BIN)/python scripts/train.py experiment=demo output_dir=$(DEMO)

app: setup  ## a page to try the shipped network, or another: make app CHECKPOINT=RUN/checkpoints/best.ckpt
	$(BIN)/python scripts/app.py $(if $(CHECKPOINT),checkpoint=$(CHECKPOINT))

test: setup  ## the default tests: under 10 minutes
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

test-all: setup  ## the slow tests too
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -m ''

coverage: setup  ## lines and branches that the default tests run -> docs/results/coverage.csv
	mkdir -p build
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal \
	  --cov --cov-report=json:build/coverage.json
	$(BIN)/python scripts/tested.py coverage build/coverage.json

mutants: setup  ## spoil the code a little, see whether a test fails -> docs/results/mutants.csv
	$(BIN)/python -m pip install --quiet --editable '.[checks]'
	OMP_NUM_THREADS=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(BIN)/python -m mutmut run
	$(BIN)/python scripts/tested.py mutants

lint: setup  ## style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup  ## static types
	$(BIN)/mypy

audit: setup  ## known vulnerabilities of what is installed
	$(BIN)/python -m pip install --quiet --editable '.[checks]'
	$(BIN)/pip-audit --local --skip-editable --vulnerability-service osv

bench: setup  ## how fast, side by side: half an hour on a machine that does nothing else
	$(BIN)/python scripts/benchmark.py data.archive=$(UTKFACE)

clean:  ## remove .venv and caches, keep runs
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache mutants build .coverage
