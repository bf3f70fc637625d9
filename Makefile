# Everything runs in .venv, which is made on first use: python3 (3.11 or newer) and make are all it takes.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: install serve test demo bench chaos check schema clients clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt console/hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Life OS needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev
	@touch $(STAMP)

serve: $(STAMP)
	@$(BIN)/lifeos serve

# -n: as many workers as cores; a single test runs with `make test ARGS=tests/unit/test_x.py`.
test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

demo: $(STAMP)
	@$(BIN)/lifeos demo $(if $(YES),--yes)

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

# Real processes under load while faults strike them; SEED= repeats a schedule, MINUTES= says for how long.
chaos: $(STAMP)
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

schema: $(STAMP)
	$(BIN)/lifeos schema > schema/schema.graphql

# The typed clients, from schema/schema.graphql; needs node.
clients:
	PYTHON=$(PYTHON) clients/generate.sh

clean:
	rm -rf .venv console/static build dist
