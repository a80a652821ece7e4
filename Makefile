# Every target makes what it needs: git, make and Python 3.11 or newer are all a fresh machine must have.

PY ?= python3
V ?= .venv
BIN := $(V)/bin

.DEFAULT_GOAL := help

$(V)/.ok: bootstrap.lock requirements.lock pyproject.toml
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "botkit needs Python 3.11 or newer; name one: make PY=python3.12")'
	@$(PY) -m venv $(V) || { echo "venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install -q --require-hashes --only-binary :all: -r bootstrap.lock
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes --only-binary :all: bootstrap.lock requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
