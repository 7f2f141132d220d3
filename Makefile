# One command for everything: `make help`.
PYTHON ?= python3
BIN := .venv/bin
# Tests run in as many processes as there are processors; each clones one template database.
WORKERS ?= auto
CASES ?= 6000
PORTFOLIO ?=
SERVE ?= 1
PORT ?= 8000
DAYS ?= 0

.DEFAULT_GOAL := help
.PHONY: help install demo serve test soak bench check format lint types arrow translations page-hashes lock clean

help: ## List every target
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: .venv/.installed ## Set up .venv with the locked dependencies

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Consign needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }

.venv/.installed: requirements.txt | .venv/bin/python
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

translations: portal/translations/zh/LC_MESSAGES/messages.mo

portal/translations/zh/LC_MESSAGES/messages.mo: portal/translations/zh/LC_MESSAGES/messages.po | .venv/.installed
	@$(BIN)/pybabel --quiet compile --directory portal/translations

demo: install translations ## The whole main job through the real API, then the portal on 127.0.0.1:8000 (SERVE=0, PORTFOLIO=FILE, CASES=6000, PORT=8000)
	@$(BIN)/python -m portal.demo --cases $(CASES) --port $(PORT) $(if $(filter 0,$(SERVE)),--stop) $(if $(PORTFOLIO),--portfolio "$(PORTFOLIO)")

serve: install translations ## Serve again what the last demo made (PORT=8000, DAYS=91: so many days later than last served; everyone signs in again)
	@$(BIN)/python -m portal.demo --serve --port $(PORT) --days $(DAYS)

# Tests start hundreds of processes, and each would compile everything anew.
test soak: export PYTHONDONTWRITEBYTECODE =

test: .venv/.installed-dev translations ## Every test (browser tests need Chromium; BROWSER=required makes them mandatory)
	@CONSIGN_BROWSER=$(BROWSER) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not soak"

soak: .venv/.installed-dev translations ## What `make test` does fifty times, a thousand times: races, faults, long state machines
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m soak

bench: .venv/.installed-dev translations ## Speed and memory beside a peer or a limit, as JSON lines
	@$(BIN)/python -m tests.benchmarks

check: lint types arrow test ## Format, lint, types, the import arrow and every test

format: .venv/.installed-dev ## Put the code into its one format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: .venv/.installed-dev
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: .venv/.installed-dev
	@$(BIN)/mypy

arrow: .venv/.installed-dev
	@$(BIN)/lint-imports

page-hashes: .venv/.installed ## Publish the hashes of the pages' scripts and styles, after a change of one
	@$(BIN)/python -m portal.page_hashes

lock: .venv/bin/python ## Resolve the dependencies of pyproject.toml anew into the lock files
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile --quiet pyproject.toml --universal --generate-hashes --no-header -o requirements.txt
	@$(BIN)/uv pip compile --quiet pyproject.toml --group dev --universal --generate-hashes --no-header -c requirements.txt -o requirements-dev.txt

clean: ## Remove what demo and tests made (not .venv)
	@rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
