# Every target makes what it needs: git, make and Python 3.11 or newer are all a fresh machine must have.
# Package indexes are those of the machine: no file here names one.
# So are the certificates they are trusted by: uv would bring its own.
export UV_SYSTEM_CERTS ?= 1

PY ?= python3
V ?= .venv
BIN := $(V)/bin

IMAGE ?= botkit:dev
ENGINE ?= $(firstword $(notdir $(shell command -v docker podman 2>/dev/null)))
BASE ?= origin/main
TESTS ?=
MUTANTS ?=

# Branch coverage that must be there, in percent: of everything, and of the rooms that decide things.
FLOOR ?= 90
FLOOR_CORE ?= 100
CORE := protocol routing model waiting leases runtime

# What says most: commands, logins, refreshes, whole bots, processes that are killed. Recorded
# programs are left out: their requests are signed with the secrets of their day, not with marked ones.
SAYING := $(addprefix tests/unit/,bot cli client telemetry web wizard) tests/scenarios tests/conformance \
  --ignore tests/conformance/test_recorded_clients.py \
  $(addprefix tests/crash/,test_bad_input.py test_rekey.py test_core_dumps.py)

TYPED := $(wildcard botkit examples tests/typing)
COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --no-header --only-binary :all:

.DEFAULT_GOAL := help
.PHONY: help run test canary browser clients mutants faults check lint types surface rooms repository news spelling requirements docs bench dist image lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

$(V)/.ok: bootstrap.lock requirements.lock pyproject.toml
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "botkit needs Python 3.11 or newer; name one: make PY=python3.12")'
	@$(PY) -m venv $(V) || { echo "no virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r bootstrap.lock
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes --only-binary :all: bootstrap.lock requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: $(V)/.ok ## the demonstration: a bot in the simulated X, no account needed
	@$(BIN)/botkit demo

test: $(V)/.ok ## all tests, with the coverage floors (TESTS='path -k name' for some, without floors)
ifeq ($(TESTS),)
	@$(BIN)/coverage run -m pytest # not --cov: that starts after plugins, and one of them is botkit's
	@report="$$($(BIN)/coverage report --fail-under=$(FLOOR))" || { echo "$$report"; exit 1; }
	@for room in $(CORE); do test ! -e botkit/$$room && continue; \
	  report="$$($(BIN)/coverage report --include="botkit/$$room/*" --fail-under=$(FLOOR_CORE))" || { echo "$$report"; exit 1; }; done
else
	@$(BIN)/python -m pytest $(TESTS)
endif

canary: $(V)/.ok ## no secret in anything that is said: marked secrets, every log level, faults on purpose
	@PYTHONASYNCIODEBUG=1 $(BIN)/python -X dev -m pytest -q -p tests.canary.plugin --every-kind --timeout 90 $(SAYING)
	@$(BIN)/python -m pytest -q -p tests.canary.plugin tests/canary

browser: ## Chromium for tests/browser, where apt can; without it those tests are skipped
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit; done; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	  { apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 && exit; \
	fi; echo "browser: none here, and apt cannot install chromium"

clients: $(V)/.ok ## programs of others into .cache/clients, at the exact versions of tests/clients/package.json
	@command -v npm >/dev/null || { echo "clients: npm is not here" >&2; exit 1; }
	@mkdir -p .cache/clients && cp tests/clients/package.json .cache/clients/
	@npm install --prefix .cache/clients --no-audit --no-fund --no-package-lock --silent
	@$(BIN)/python -c 'import json; print(*(f"{n}=={v}" for n, v in json.load(open("tests/clients/package.json"))["python"].items()))' \
	  | xargs $(BIN)/uv pip install -q --python $(BIN)/python --target .cache/clients/python --no-deps

mutants: $(V)/.ok ## small changes on purpose, one at a time: who notices (MUTANTS='--sample 40 --only guard')
	@$(BIN)/python -m tests.mutation $(MUTANTS)

faults: $(V)/.ok ## where each fault of the catalogue is tested, and which are not
	@$(BIN)/python -m tests.faults

check: lint types surface rooms repository news spelling requirements ## everything that is judged without running the product

lint: $(V)/.ok ## ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet || { $(BIN)/ruff format --diff --quiet; exit 1; }

types: $(V)/.ok ## mypy and pyright, both strict
	@$(BIN)/mypy $(TYPED)
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python $(TYPED)

rooms: $(V)/.ok ## who may import whom
	@$(BIN)/lint-imports --no-logo --cache-dir .cache/importlinter

surface: $(V)/.ok ## what the wheel shows is typed, in full
	@$(BIN)/python -m tests.typed_surface

repository: $(V)/.ok ## locks, shape, names, public surface
	@$(BIN)/python -m pytest -q -p no:randomly tests/test_repository.py tests/test_public_api.py

news: $(V)/.ok ## each change a user can notice has a fragment (docs/news/README.md)
	@$(BIN)/towncrier build --draft --version next >/dev/null 2>&1 || $(BIN)/towncrier build --draft --version next
	@if ! git rev-parse -q --verify '$(BASE)^{commit}' >/dev/null; then echo "news: no $(BASE) to compare with"; \
	elif git log --format=%B '$(BASE)..HEAD' | grep -qx 'News: none'; then echo "news: marked internal"; \
	else $(BIN)/towncrier check --compare-with '$(BASE)'; fi

spelling: $(V)/.ok
	@$(BIN)/codespell

requirements: $(V)/.ok ## what is imported is declared, and the other way round
	@$(BIN)/deptry --no-ansi .

docs: $(V)/.ok ## the documentation, warnings are errors
	@$(BIN)/sphinx-build -q -W -n --keep-going -d .cache/doctrees docs docs/_build
	@echo docs/_build/index.html

year: $(V)/.ok ## 400 days of virtual time with a mention a day: minutes, not in CI
	@$(BIN)/python -m tests.year

bench: $(V)/.ok ## each path as a ratio to a plain loop and to a peer
	@$(BIN)/python -m tests.bench

dist: $(V)/.ok ## wheel and sdist into dist/
	@rm -rf dist
	@$(BIN)/hatchling build -d dist >/dev/null 2>&1
	@ls dist/*

image: ## the container image, with docker or podman
	@test -n "$(ENGINE)" || { echo "neither docker nor podman is here" >&2; exit 1; }
	$(ENGINE) build -t $(IMAGE) -f deploy/Dockerfile .

lock: $(V)/.ok ## newest versions of everything into the locks
	@echo uv | $(COMPILE) --upgrade --python-version 3.11 - -o bootstrap.lock
	@$(COMPILE) --upgrade --all-extras --group dev pyproject.toml -o requirements.lock
	@$(COMPILE) --upgrade pyproject.toml -o requirements-runtime.lock

clean: ## remove what the targets made
	@rm -rf $(V) .cache .hypothesis docs/_build build dist htmlcov
	@find botkit examples tests docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
