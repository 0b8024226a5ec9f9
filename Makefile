# Everything runs in .venv, which is made on first use. Another interpreter: make test PYTHON=python3.12
PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# One stamp per set of packages: a rerun installs nothing until pyproject.toml changes.
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

PHOTO := data/samples/chelsea.png
SCALE := 2.37

.PHONY: demo test fuzz check lint types format train bench wheel clean

# Enlarge a bundled photo and show it beside bicubic.
demo: $(RUN)
	@mkdir -p demo
	$(BIN)/ccsr upscale $(PHOTO) -o demo/enlarged.png --scale $(SCALE) --model light --exists overwrite
	$(BIN)/python data/readme/side_by_side.py $(PHOTO) demo/enlarged.png demo/side-by-side.png
	@echo
	@echo "the photo enlarged $(SCALE) times:        $(CURDIR)/demo/enlarged.png"
	@echo "beside the input and bicubic:      $(CURDIR)/demo/side-by-side.png"

test: $(DEV)
	$(BIN)/python -m pytest $(ARGS)

# The long forms of tests/test_faults.py: damaged files of every format, and runs that are killed.
fuzz: $(DEV)
	$(BIN)/python tests/fuzz.py --files 10000
	OMP_NUM_THREADS=1 $(BIN)/python tests/kill.py --trials 200

# What CI runs.
check: test lint types

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# make train ARGS="model=base trainer.max_steps=20000"
train: $(DEV)
	$(BIN)/ccsr train $(ARGS)

# Speed against Lanczos, LIIF and the bound, a few minutes; the results are in benchmarks/RESULTS.md.
# make bench ARGS="memory --gigapixel", make bench ARGS=training
bench: $(DEV)
	$(BIN)/python -m benchmarks $(ARGS)

# Build, then use the wheel as a stranger would: a new environment, an empty folder.
# WHEEL_SHARES_VENV=1 lets that environment see the packages of .venv, to save the downloads.
wheel: $(DEV)
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	@set -eu; room=$$(mktemp -d); trap 'rm -rf "$$room"' EXIT; \
	$(BIN)/python -m venv "$$room/venv"; \
	if [ -n "$${WHEEL_SHARES_VENV:-}" ]; then \
		ls -d $(CURDIR)/$(VENV)/lib/python*/site-packages > "$$room/shared.pth"; \
		mv "$$room/shared.pth" "$$room"/venv/lib/python*/site-packages/; \
	fi; \
	"$$room/venv/bin/python" -m pip install --quiet "$$(ls $(CURDIR)/dist/*.whl)[train]"; \
	mkdir "$$room/empty"; cd "$$room/empty"; PATH="$$room/venv/bin:$$PATH"; \
	python -c 'import ccsr, sys; assert ccsr.__file__.startswith(sys.prefix), ccsr.__file__'; \
	ccsr upscale $(CURDIR)/$(PHOTO) -o enlarged.png --scale $(SCALE); \
	test -s enlarged.png; \
	ccsr train --cfg job > job.yaml; \
	test -s job.yaml; \
	echo "the wheel works: $$(ls $(CURDIR)/dist/*.whl)"

clean:
	rm -rf dist build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find ccsr tests data -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "ccsr needs Python 3.11 or newer, and '$(PYTHON)' is not: name one, as in" >&2; \
		echo "    make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e .
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e '.[dev]'
	@touch $(RUN) $@
