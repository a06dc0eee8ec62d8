# Dandyroll's commands. `make` alone lists them.
# Needs Python 3.11 or newer with venv, and make. PYTHON names another one: make setup PYTHON=python3.13

PYTHON ?= python3
UV ?= uv

VENV := .venv
EMULATOR := .venv-emulator
SAM := .venv-sam
BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup dev emulator sam run build test test-tls test-all check format bench docs golden lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- environments ------------------------------------------------------------------------------

setup: $(VENV)/.product ## make .venv, with the dandyroll command in it

dev: $(VENV)/.dev $(EMULATOR)/.ready ## everything the tests and checks need

emulator: $(EMULATOR)/.ready ## make .venv-emulator, which runs the AWS emulator for the tests

sam: $(SAM)/.ready $(VENV)/.aws ## make .venv-sam, and what `dandyroll deploy` needs beside it

# $(call new_venv,FOLDER): an empty environment, or one clear line about the Python at hand.
define new_venv
	@command -v $(PYTHON) >/dev/null || { \
		echo "Dandyroll needs Python 3.11 or newer; there is no '$(PYTHON)'. Name yours: make PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Dandyroll needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name yours: make PYTHON=python3.13"; exit 1; }
	@echo "making $(1)"
	@$(PYTHON) -m venv --clear $(1)
endef

$(VENV)/.python:
	$(call new_venv,$(VENV))
	@touch $@

# pyvips-binary carries libvips and its compiled binding. pyvips itself must bring no second one.
define PYVIPS_IS_PURE
import importlib.metadata as m, pyvips, sys
sys.exit(any(".so" in f.name for f in m.files("pyvips")))
endef
export PYVIPS_IS_PURE

$(VENV)/.locked: $(VENV)/.python requirements-build.lock requirements.lock
	@echo "installing the product's dependencies"
	@$(BIN)/python $(PIP_INSTALL) -r requirements-build.lock
	@$(BIN)/python $(PIP_INSTALL) -r requirements.lock
	@$(BIN)/python -c "$$PYVIPS_IS_PURE" || { \
		echo "pyvips was compiled against a system libvips (an old build in pip's cache?): pip cache remove pyvips; make clean setup"; exit 1; }
	@touch $@

$(VENV)/.product: $(VENV)/.locked pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.aws: $(VENV)/.product requirements-aws.lock
	@echo "installing what reaches AWS"
	@$(BIN)/python $(PIP_INSTALL) -r requirements-aws.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.locked requirements-dev.lock | $(VENV)/.product
	@echo "installing what tests and checks need"
	@$(BIN)/python $(PIP_INSTALL) -r requirements-dev.lock
	@touch $@

$(EMULATOR)/.python:
	$(call new_venv,$(EMULATOR))
	@touch $@

$(EMULATOR)/.ready: $(EMULATOR)/.python requirements-build.lock requirements-emulator.lock
	@echo "installing the AWS emulator"
	@$(EMULATOR)/bin/python $(PIP_INSTALL) -r requirements-build.lock
	@$(EMULATOR)/bin/python $(PIP_INSTALL) -r requirements-emulator.lock
	@touch $@

$(SAM)/.python:
	$(call new_venv,$(SAM))
	@touch $@

# --no-deps: pip asks for a pin of boto3[crt] beside that of boto3. The lock is complete; pip check.
$(SAM)/.ready: $(SAM)/.python requirements-sam.lock
	@echo "installing the AWS SAM CLI"
	@$(SAM)/bin/python $(PIP_INSTALL) --no-deps -r requirements-sam.lock
	@$(SAM)/bin/python -m pip --quiet --disable-pip-version-check check
	@touch $@

# --- use ---------------------------------------------------------------------------------------

run: $(VENV)/.product ## start the server with a demo key and a picture (ARGS="--port 8001")
	@$(BIN)/dandyroll serve --demo $(ARGS)

build: $(VENV)/.locked ## make build/functions.zip, which all Lambda functions share (ARCH=x86_64)
	@$(BIN)/python deploy/build.py $(if $(ARCH),--arch $(ARCH))

# --- tests and checks --------------------------------------------------------------------------

test: dev ## run the tests
	$(BIN)/pytest -n 2 --dist loadscope

test-tls: dev ## run the contract and the AWS tests against the emulator with TLS
	$(BIN)/pytest -n 2 --dist loadscope --aws tls tests/contract tests/aws

test-all: dev $(SAM)/.ready ## run the tests, the slow ones too; then those of the AWS home with TLS
	$(BIN)/pytest -n 2 --dist loadscope -m ""
	$(MAKE) test-tls

check: dev $(SAM)/.ready ## format, lint, types, layers, the AWS templates, generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src $(wildcard tests/typing)
	$(BIN)/lint-imports
	$(BIN)/cfn-lint deploy/template.yaml
	$(BIN)/python scripts/lint_sam.py
	$(BIN)/python scripts/lint_statemachine.py
	$(BIN)/python scripts/docs.py --check

format: dev ## put the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: dev ## run the benchmarks
	$(BIN)/python benchmarks/run.py

# --- made files --------------------------------------------------------------------------------

docs: $(VENV)/.product ## write the generated parts of docs/
	$(BIN)/python scripts/docs.py

golden: dev ## write the goldens again (pictures, who may do what on AWS), and say what changed
	$(BIN)/python -m tests.imaging.goldens --write
	$(BIN)/python -m tests.aws.permissions --write
	git diff --stat

# The locks hold names, versions and hashes only. uv is a maintainer's tool: nothing else needs it.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

lock: ## resolve the requirements*.lock files again (needs uv; UPGRADE=1 takes new releases)
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements/build.in -o requirements-build.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml -o requirements.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml --extra aws --extra otel requirements/build.in requirements/dev.in \
		-c requirements-build.lock -c requirements.lock -o requirements-dev.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements/lambda.in -c requirements-dev.lock -o requirements-lambda.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements/emulator.in -o requirements-emulator.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml --extra aws -c requirements-dev.lock -o requirements-aws.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements/sam.in -o requirements-sam.lock

clean: ## remove the environments, caches and builds
	rm -rf $(VENV) $(EMULATOR) $(SAM) build dist .sam-build build.toml
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
