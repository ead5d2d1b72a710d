# The words of this project: run · test · check · bench · lab · fix · clean.  `make` alone lists them.
#
# PYTHON    the interpreter that makes .venv (3.11 or newer)           make run PYTHON=python3.12
# PIP_ARGS  goes to every pip call, for example another index          make run PIP_ARGS="--index-url URL"
# RUN_ARGS  goes to the study's notebook                               make run RUN_ARGS="-p workers=1"

PYTHON ?= python3
PIP_ARGS ?=
RUN_ARGS ?=
VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --disable-pip-version-check -c constraints.txt $(PIP_ARGS)

.DEFAULT_GOAL := help
.PHONY: help run test check bench lab fix clean

help:
	@echo "make run    the trade-off study: table, recommendation, reports/tradeoffs.html"
	@echo "make test   everything that is tested      make check  its quick part      make bench  its long part"
	@echo "make lab    JupyterLab on the tour         make fix    format and lint     make clean  remove what was made"

run: $(VENV)/.installed
	@$(PY) -m workbench.batch.execute notebooks/20_compare.ipynb reports/tradeoffs.ipynb $(RUN_ARGS)

test: $(VENV)/.installed-all
	@$(PY) tests/browser/ensure_browser.py
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.installed-all
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not browser"

bench: $(VENV)/.installed-all  # a missed bar is told at the end: the others are measured all the same
	@failed=; for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(PY) $$script || failed="$$failed $$script"; done; \
	test -z "$$failed" || { echo "a bar missed, or broken:$$failed"; exit 1; }

lab: $(VENV)/.installed-lab
	$(VENV)/bin/workbench lab

fix: $(VENV)/.installed-all
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(PY) -m tests.house.readme_table

clean:  # runs/ holds measured work and stays; remove it by hand
	rm -rf $(VENV) reports build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A Python without ensurepip (Debian without python3-venv) lends its own pip to the new environment.
$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.11 …"; exit 1; }
	@echo "making $(VENV)"
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	else $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(PY) install $(PIP_ARGS) pip; fi

# torch first and pinned: left free, it may bring gigabytes for accelerators that aren't there.
$(VENV)/.installed: pyproject.toml setup.py constraints.txt | $(PY)
	@echo "installing (minutes the first time)"
	$(INSTALL) torch
	$(INSTALL) -e .
	@touch $@

# What the notebooks and lessons take besides: the server and its clients, keys and signatures.
$(VENV)/.installed-lab: $(VENV)/.installed
	$(INSTALL) -e ".[workshop]"
	@touch $@

$(VENV)/.installed-all: $(VENV)/.installed
	$(INSTALL) -e ".[all]"
	@touch $@
