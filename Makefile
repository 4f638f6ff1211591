# Every command a person types. Each does its own set-up; a fresh machine needs Python 3.11+, make and git.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-engines check fix bench soak docs clean lock services

PYTHON ?= python3
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_COMPILE_BYTECODE := 1

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: .venv/.ready ## make .venv/bin/weft

.uv/.ready: requirements-uv.txt
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@touch $@

.venv/.ready: .uv/.ready requirements-dev.txt pyproject.toml
	.uv/bin/uv venv --quiet --allow-existing --python $(PYTHON) .venv
	.uv/bin/uv pip sync --quiet --python .venv --require-hashes requirements-dev.txt
	.uv/bin/uv pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## start Weft on this machine and watch it
	@if [ -t 0 ]; then set -m; fi; $(BIN)/weft start # with its own process group Ctrl-C stops Weft, not make

services: setup # the real servers that tests use, where they may be installed
	@$(BIN)/python -m tests.services.install

test: setup services ## every test, on all cores; tests that share a real server stay together
	$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadgroup

test-engines: setup services ## the transcripts of the stream on Apache Flink, in an environment of its own
	@$(BIN)/python -m tests.engines.install
	$(BIN)/pytest tests/engines

check: setup ## lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

fix: setup ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## measure, side by side with the peers
	$(BIN)/python -m bench

soak: setup services ## the long loops: kill -9, fuzz, disk trouble
	$(BIN)/pytest -m "soak or not soak" --soak

docs: setup ## write the generated reference pages
	$(BIN)/python -m docs

lock: .uv/.ready ## pin every dependency again
	.uv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml -o requirements.txt
	.uv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --group dev pyproject.toml -o requirements-dev.txt

clean: ## remove what was built here
	rm -rf .venv .uv .services dist .coverage .pytest_cache .ruff_cache .hypothesis .import_linter_cache
