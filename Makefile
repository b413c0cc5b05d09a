# `make up` and `make test` need Python and make, nothing else. Run them here or with `make -C DIR`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt

PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

.PHONY: up test test-rest test-all check bench faults clean chaos soak

# Who runs a folder's Makefile trusts it already; so `devenv trace` need not ask again.
up: .venv/user.stamp
	@$(BIN)/devenv trust >/dev/null
	$(BIN)/devenv up --trust
	@echo 'in your shell: source .venv/bin/activate'

# Every test is in one of two halves; its markers say in which (tests/conftest.py: NEEDS).
test: .venv/developer.stamp
	$(PYTEST) --half bare $(ARGS)

test-rest: .venv/developer.stamp
	$(PYTEST) --half rest $(ARGS)

# Needs what `.ci/setup` installs.
test-all:
	$(MAKE) test
	$(MAKE) test-rest

check: .venv/developer.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/unit/test_house.py

bench: .venv/developer.stamp
	$(BIN)/python tests/bench/all.py $(ARGS)
	$(BIN)/python tests/bench/up.py
	$(BIN)/python tests/bench/doctor.py
	$(BIN)/python tests/bench/reset.py

faults: .venv/developer.stamp
	$(BIN)/python -m tests.faults.trace $(ARGS)

chaos: .venv/developer.stamp
	$(BIN)/python -m tests.chaos $(ARGS)

soak: .venv/developer.stamp
	CHAOS_SOAK_S=$${CHAOS_SOAK_S:-3600} $(BIN)/python -m pytest -s -p no:cacheprovider tests/chaos/test_soak.py $(ARGS)

clean:
	test ! -x $(BIN)/devenv || $(BIN)/devenv down
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "devenv needs Python 3.11 or newer; this is " + sys.version + ". Name another one: make up PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/user.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable '.[embedded,backend,ui]'
	@touch $@

.venv/developer.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable '.[embedded,backend,ui,test]'
	@touch $@ .venv/user.stamp
