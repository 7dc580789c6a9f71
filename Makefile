# Two commands do everything on a fresh machine with Python 3.11 and make: `make demo` and `make test`.

PYTHON ?= python3
ERP ?= spectrum
BIN := .venv/bin

export PREFECT_SERVER_ANALYTICS_ENABLED = false
export DO_NOT_TRACK = 1
export GX_ANALYTICS_ENABLED = false
# Workers start a process per run: without bytecode each one compiles all of Prefect again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check format bench chaos docs lock system clean

demo: .venv/.stamp
	$(BIN)/tieout demo --erp $(ERP) $(if $(ONCE),--once) $(if $(JSON),--json)

test: .venv/.stamp system
	$(BIN)/pytest $(ARGS)

check: .venv/.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.stamp
	$(BIN)/python -m benchmarks $(ARGS)

chaos: .venv/.stamp
	$(BIN)/python -m benchmarks.chaos $(ARGS)

docs: .venv/.stamp
	$(BIN)/tieout docs

.venv/.stamp: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q -j0 .venv/lib || true
	touch $@

