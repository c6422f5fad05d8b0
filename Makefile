# Every target that builds or runs does all the set-up it needs; a second run starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find frontends pyx proto -name '*.proto' -o -name '*.p[yx]x' -o -name '*.pxd') \
           $(wildcard csrc/llamawire/*) csrc/CMakeLists.txt csrc/llama.cpp.lock setup.py pyproject.toml
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install serve dev proto build pure format lint types test test-csrc e2e fuzz soak bench microbench peer tiny tiny-vision check clean

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.built  ## build llamawire into .venv

serve: install  ## run the server: REST on 127.0.0.1:11434, gRPC on 127.0.0.1:11435
	@exec $(BIN)/python -m llamawire.engine

dev: $(VENV)/.dev $(VENV)/.built  ## install with every tool for development

proto: $(VENV)/.built  ## build the protobuf code beside the .proto files

build: dev  ## sdist and wheel into dist/
	$(BIN)/pip install -q build && $(BIN)/python -m build --no-isolation

pure: dev  ## the wheel without the engine: adapter, client and command line
	LLAMAWIRE_PURE=1 $(BIN)/pip wheel -q --no-deps --no-build-isolation -w dist .

format: $(VENV)/.dev  ## write ruff's, clang-format's and buf's format
	ruff format . && ruff check --fix .
	clang-format -i csrc/llamawire/*.cc csrc/llamawire/*.h csrc/tests/*.cc csrc/fuzz/*.cc csrc/fuzz/*.h
	buf format -w

lint: dev  ## check format, style, layers, types and stubs
	ruff format --check . && ruff check .
	clang-format --dry-run -Werror csrc/llamawire/*.cc csrc/llamawire/*.h csrc/tests/*.cc csrc/fuzz/*.cc csrc/fuzz/*.h
	cython-lint pyx
	buf lint && buf format -d --exit-code
	PYTHONPATH=frontends:pyx:proto lint-imports
	codespell
	$(MAKE) -s types

types: dev  ## mypy over the packages, stubtest over the extension module
	mypy
	MYPYPATH=frontends:pyx:proto $(BIN)/python -m mypy.stubtest --allowlist tests/native/stubtest_allowlist.txt llamawire.native

test: dev  ## every test: units, C++, and end to end with real processes
	$(MAKE) -s test-csrc
	$(BIN)/python -m pytest

test-csrc: dev  ## the C++ tests; SANITIZE=address or thread instruments them
	@csrc/tests/run.sh

e2e: dev  ## only the tests that start real processes
	$(BIN)/python -m pytest tests/e2e

fuzz: dev  ## fuzz csrc, Python, models and a real server, MINUTES (30) a target; ONLY=TARGET,… some
	@$(BIN)/pip install -q --group fuzz || echo "llamawire: atheris could not be installed"
	PYTHONPATH=tests:frontends:pyx:proto $(BIN)/python -m fuzz --minutes $${MINUTES:-30} $(if $(ONLY),--only $(ONLY))

soak: dev  ## mixed traffic with faults for MINUTES (60); plot and report in build/soak
	PYTHONPATH=tests:frontends:pyx:proto $(BIN)/python -m soak --minutes $${MINUTES:-60} --think $${THINK:-0}

bench: dev peer  ## compare with llama-server and write docs/benchmarks.md; ONLY=ROW runs one row, GPU=1 those for a GPU
	PYTHONPATH=tests $(BIN)/python -m bench.table $(if $(ONLY),--only $(ONLY)) $(if $(GPU),--gpu)

microbench: dev  ## what each part of a request costs; prints a table, keeps nothing
	$(BIN)/python -m pytest tests/bench --benchmark-enable --benchmark-only

peer: $(VENV)/.base  ## build llama.cpp's own server and benches of the same pin, to compare with
	@$(BIN)/python setup.py -q build_peer

tiny: $(VENV)/.dev  ## train the model in the box again (under an hour, 2 cores)
	$(PYTHON) -m venv build/torch && build/torch/bin/pip install -q -r models/tiny/requirements.txt
	build/torch/bin/python models/tiny/train.py

tiny-vision: $(VENV)/.dev  ## train its eyes again, which belong to the tiny.gguf that is there
	$(PYTHON) -m venv build/torch && build/torch/bin/pip install -q -r models/tiny/requirements.txt
	build/torch/bin/python models/tiny/train_vision.py

check: lint test  ## what has to be green before a commit

clean:  ## remove everything git does not know
	git clean -Xdfq

# ---- set-up ---------------------------------------------------------------------------------------

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
		|| { echo "llamawire: python 3.10 or newer is needed (PYTHON=… names one)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "llamawire: python's venv module is missing (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.base: $(VENV)/bin/pip pyproject.toml
	@echo "llamawire: installing what the build needs"
	@$(BIN)/pip install -q 'pip>=25.1' && $(BIN)/pip install -q --group build \
		|| { echo "llamawire: pip could not install the build's tools; is there a network?"; exit 1; }
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@$(BIN)/pip install -q --group dev \
		|| { echo "llamawire: pip could not install the tools for development; is there a network?"; exit 1; }
	@touch $@

$(VENV)/.built: $(VENV)/.base $(SOURCES)
	@echo "llamawire: building (some minutes the first time, seconds later)"
	@$(BIN)/pip install -q --no-build-isolation -e . > build.log 2>&1 \
		|| { grep -E '^ *llamawire: |[Ee]rror' build.log | head -20; echo "llamawire: the whole log is build.log"; exit 1; }
	@touch $@
