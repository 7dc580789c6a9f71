# Two commands do everything on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.

PYTHON ?= python3
BIN := .venv/bin

export PREFECT_SERVER_ANALYTICS_ENABLED = false
export DO_NOT_TRACK = 1
export GX_ANALYTICS_ENABLED = false
# A worker starts a process per run: without bytecode each one would compile all of Prefect again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo tryton test check format bench chaos chaos-erps fuzz docs samples ledger-sample screenshots lock system clean

# ONCE=1 ends by itself, JSON=1 prints counts, DATA= is the folder to work in, ERP=tryton takes a real ERP.
demo: .venv/.stamp $(if $(filter tryton,$(ERP)),.tryton/.stamp)
	$(BIN)/tieout demo $(if $(ERP),--erp $(ERP)) $(if $(ONCE),--once) $(if $(JSON),--json) $(if $(DATA),--data $(DATA))

# A contractor's company in Tryton, a real ERP, served until Ctrl-C; DATA= is the folder of its database,
# POSTGRESQL=postgresql://ROLE@HOST:PORT a server to keep it on.
tryton: .venv/.stamp .tryton/.stamp
	$(BIN)/python -m deployments.tryton $(if $(JSON),--json) $(if $(DATA),--data $(DATA)) \
		$(if $(POSTGRESQL),--postgresql $(POSTGRESQL))

# In two processes, as the smallest machine has two cores; ARGS= goes to pytest, `ARGS="-n 0 ..."` stays in one.
test: .venv/.stamp system
	$(BIN)/pytest -n 2 $(ARGS)

check: .venv/.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.stamp
	$(BIN)/python -m benchmarks $(ARGS)

# Killed and stopped workers, and a storm: twenty minutes, on both databases at the same time.
chaos: .venv/.stamp system
	$(BIN)/python -m benchmarks.chaos $(ARGS)

# The same in small for every ERP's connector, and whole for a real Tryton, on both databases that it runs on: a quarter
# of an hour.
chaos-erps: .venv/.stamp system
	$(BIN)/pytest -n 2 --chaos $(ARGS)

# 20,000 answers of Procore that are no sound invoice; ARGS= as `python -m benchmarks.fuzz --help` says.
fuzz: .venv/.stamp
	$(BIN)/python -m benchmarks.fuzz $(ARGS)

docs: .venv/.stamp
	$(BIN)/python -m docs.pages

# The expected side of the samples in tests/samples; read the difference before it is committed.
samples: .venv/.stamp
	PYTHONPATH=.:tests $(BIN)/python tests/tieout/connectors/test_procore.py
	PYTHONPATH=.:tests $(BIN)/python tests/golden.py

# A small ledger as this release leaves it, for later ones to upgrade; it is kept before the next migration is written.
ledger-sample: .venv/.stamp
	PYTHONPATH=.:tests $(BIN)/python tests/old_ledgers.py

# The pictures of the README and of the operator's guide, taken from the demo.
screenshots: .venv/.stamp system
	$(BIN)/python -m docs.screenshots

# UV_ARGS=--upgrade takes newer releases; without it what is locked stays.
lock: COMPILE = .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UV_ARGS)
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet uv
	$(COMPILE) --all-extras -o requirements.lock pyproject.toml
	$(COMPILE) -o deployments/tryton/requirements.lock deployments/tryton/requirements.in
	rm -rf .venv-lock

# Debian packages that some tests need: a browser, and the programs of a PostgreSQL server.
system:
	@packages=; \
	command -v chromium >/dev/null || packages="$$packages chromium fonts-liberation"; \
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || packages="$$packages postgresql"; \
	if [ -z "$$packages" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $$packages \
			</dev/null >/dev/null || echo "apt-get could not install:$$packages; the tests that need them cannot run."; \
	else \
		echo "Not installed:$$packages; the tests that need them cannot run (as root on Debian they are installed here)."; \
	fi

clean:
	rm -rf .tieout .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist

.venv/.lock: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --no-compile --no-deps --require-hashes -r requirements.lock
	-$(BIN)/python -m compileall -qq -j0 .venv/lib
	touch $@

# Tryton has an environment of its own: we only talk to it, and its licence is another one.
.tryton/.stamp: deployments/tryton/requirements.lock
	$(PYTHON) -m venv --clear .tryton
	.tryton/bin/pip install --quiet --no-deps --require-hashes -r deployments/tryton/requirements.lock
	touch $@

.venv/.stamp: .venv/.lock pyproject.toml
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@
