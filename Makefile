# Everything runs in .venv, which is made on first use: Python 3.11 or newer and make are all it takes.
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each $(NEW_ENOUGH) 2>/dev/null && echo $$each && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
TOOLS := .venv/.installed-tools

.PHONY: install serve test test-slow demo bench chaos fuzz audit check schema clients clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt console/hatch_build.py
	@$(or $(PYTHON),false) $(NEW_ENOUGH) || \
		{ echo "Life OS needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing into .venv, which takes a minute or two ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $(STAMP)

# What tests and checks need is twice as much as the program itself, so only they bring it.
$(TOOLS): $(STAMP)
	@echo "Installing the tools for tests and checks into .venv, which takes a minute or two ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group dev
	@touch $(TOOLS)

serve: $(STAMP)
	@$(BIN)/lifeos serve $(ARGS)

# -n: workers by the number of cores (tests/conftest.py); a single test runs with `make test ARGS=tests/unit/test_x.py`.
test: $(TOOLS)
	$(BIN)/python -m pytest -n auto --dist worksteal $(if $(ARGS),,-m "not slow") $(ARGS)

# What starts whole programs: the wheel in an empty environment, browsers, npm's clients, the blocks of the README and docs,
# crashes and restarts, AgentDojo's tasks in an environment of its own.
test-slow: $(TOOLS)
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow $(ARGS)

demo: $(STAMP)
	@$(BIN)/lifeos demo $(if $(YES),--yes)

bench: $(TOOLS)
	$(BIN)/python -m benchmarks $(ARGS)

# Real processes under load while faults strike them; SEED= repeats a schedule, MINUTES= says for how long.
chaos: $(TOOLS)
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

# Random requests at a server of its own, for SECONDS=; SEED= repeats them.
fuzz: $(TOOLS)
	$(BIN)/python -m tests.security.fuzz --seconds $(or $(SECONDS),120) $(if $(SEED),--seed $(SEED)) $(ARGS)

# What is known to be wrong with the versions in constraints.txt; needs the vulnerability database of osv.dev.
audit:
	@.venv/audit/bin/pip-audit --version >/dev/null 2>&1 || \
		{ $(PYTHON) -m venv .venv/audit && .venv/audit/bin/pip install --quiet --disable-pip-version-check pip-audit; }
	.venv/audit/bin/pip-audit --vulnerability-service osv --requirement constraints.txt --no-deps --disable-pip

check: $(TOOLS)
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
