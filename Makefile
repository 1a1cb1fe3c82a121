# demo: a real ticket from start to committed report · test: the whole suite · check: what pre-commit
# runs · chaos: kill -9 of everything, ROUNDS rounds from SEED on · bench: measurements into
# benchmarks/RESULTS.md · clean: everything that make made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Set when the environment's contents must follow pyproject.toml again.
STAMP := $(VENV)/.installed
# The libraries that parts of the suite are tested against; those tests are skipped without them.
PEERS := $(VENV)/.peers
# Tests wait for real processes most of the time: more at once than there are cores.
WORKERS ?= 4
ROUNDS ?= 200
# Empty: a new one, which is printed.
SEED ?=

.PHONY: demo test check chaos bench clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml
	@test -x "$(BIN)/python" || $(PYTHON) -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --editable '.[train,dev]'
	@touch "$(STAMP)"

$(PEERS): $(STAMP)
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --editable '.[notify,integrations,parquet]'
	@touch "$(PEERS)"

demo: $(STAMP)
	@scripts/demo.sh

test: $(PEERS)
	"$(BIN)/python" -m pytest --numprocesses $(WORKERS) $(PYTEST_ARGS)

check: $(STAMP)
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"
	"$(BIN)/python" scripts/reference.py --check
	"$(BIN)/python" -m pytest tests/shape

chaos: $(STAMP)
	PYTHONPATH="tests$${PYTHONPATH:+:$$PYTHONPATH}" "$(BIN)/python" -m chaos --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

bench: $(STAMP)
	"$(BIN)/python" -m benchmarks

clean:
	rm -rf "$(VENV)" .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
