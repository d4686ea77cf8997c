# Every target sets itself up: a virtual environment in .venv with the versions of constraints.txt.
# Needed beforehand: Python 3.11 or newer, git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help sweep test check bench soak fuzz scaling wheel-test reference docs validate clean

help:
	@echo "make sweep   run the reference sweep, configs/medium.yaml, into results/medium"
	@echo "make test    check format, lint and types, then run the tests"
	@echo "make check   the same without the tests"
	@echo "make bench   measure build and solve times"
	@echo "make reference  make results/reference anew: all methods, tables and report"
	@echo "make docs    write the generated pages of docs/"
	@echo "make validate   score the performance model on MEASURED=file.csv"
	@echo "make soak    30 kills of a sweep and a sweep of 20,000 points; up to half an hour"
	@echo "make fuzz    20,000 hostile inputs; a quarter of an hour"
	@echo "make scaling measure what a sweep costs beside its points, for docs/scaling.md"
	@echo "make wheel-test  install the wheel on every Python found, sweep with it in an empty folder"
	@echo "make clean   remove .venv, caches and build files; results stay"

sweep: $(READY)
	@$(BIN)/python -m pipeline sweep configs/medium.yaml --out results/medium
	@echo "The command placement is in $(BIN): . $(BIN)/activate"

test: check
	@echo "tests: pytest"
	@$(BIN)/python -m pytest

check: $(READY)
	@echo "format: ruff format --check"
	@$(BIN)/ruff format --quiet --check pipeline tests || \
	  { echo "these files are not formatted:" >&2; \
	    $(BIN)/ruff format --check pipeline tests >&2; exit 1; }
	@echo "lint: ruff check"
	@$(BIN)/ruff check --quiet pipeline tests
	@echo "types: mypy"
	@$(BIN)/mypy --no-error-summary

bench: $(READY)
	@$(BIN)/python -m tests.bench

REFERENCE := results/reference
reference: $(READY)
	@$(BIN)/python -m pipeline sweep configs/medium.yaml --out $(REFERENCE) --fresh \
	  --method enumeration,weighted,iterative,ratio,frontier
	@$(BIN)/python -m pipeline report $(REFERENCE)

docs: $(READY)
	@$(BIN)/python -m pipeline.docs_build

# Measurements are not part of the project; docs/measured-format.md says what a file must hold.
MEASURED ?= ../shared/measured/throughput.csv
# Counted KV-cache blocks are scored as well where there are any.
KV ?= $(wildcard $(dir $(MEASURED))kv_blocks.csv)
validate: $(READY)
	@test -f $(MEASURED) || \
	  { echo "$(MEASURED) does not exist; name a file, as: make validate MEASURED=mine.csv" >&2; \
	    exit 2; }
	@$(BIN)/python -m pipeline validate $(MEASURED) $(if $(KV),--kv $(KV))

soak: $(READY)
	@$(BIN)/python -m tests.soak

fuzz: $(READY)
	@$(BIN)/python -m tests.fuzz

scaling: $(READY)
	@$(BIN)/python -m tests.scaling

wheel-test: $(READY)
	@$(BIN)/python -m tests.wheel

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find pipeline tests -type d -name __pycache__ -prune -exec rm -rf {} +

# The stamp says that .venv holds what pyproject.toml and constraints.txt ask for.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, but $(PYTHON) is $$($(PYTHON) --version 2>&1);" \
	         "name another one, as: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "set-up: a virtual environment in $(VENV) (takes a minute or two, once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)
