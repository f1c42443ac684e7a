# make setup   a virtual environment in .venv with every extra
# make demo    train on 1,968 photographs of solar cells, test on 656, write the report; minutes on two cores
# make test    lint, types and tests
# make bench   speed beside other implementations

PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check -q
RUN ?= runs/demo

.PHONY: setup demo test bench clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml setup.py constraints.txt $(wildcard src/alexnet/native/*)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt torch
	$(PIP) install --constraint constraints.txt --editable '.[all,dev]'
	touch $@

demo: setup
	$(VENV)/bin/alexnet demo --out $(RUN)

test: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest

bench: setup
	$(VENV)/bin/alexnet bench all

clean:
	rm -rf $(VENV) build src/*.egg-info src/alexnet/_native*.so
