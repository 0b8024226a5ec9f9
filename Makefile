# Everything runs in .venv, which is made on first use. Another interpreter: make test PYTHON=python3.12
PYTHON ?= python3
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# One stamp per set of packages: a rerun installs nothing until pyproject.toml changes.
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

PHOTO := data/samples/chelsea.png
SCALE := 2.37

# Modules of tests are dealt out to as many processes as there are cores, up to eight.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

.PHONY: help demo test long fuzz pages check lint types format docs man train bench wheel small site onnx clean

help: ## Say what each target does.
	@awk -F ': .*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUN) ## Enlarge a bundled photo and show it beside bicubic.
	@mkdir -p demo
	$(BIN)/ccsr upscale $(PHOTO) -o demo/enlarged.png --scale $(SCALE) --model light --exists overwrite
	$(BIN)/python data/readme/side_by_side.py $(PHOTO) demo/enlarged.png demo/side-by-side.png
	@echo
	@echo "the photo enlarged $(SCALE) times:        $(CURDIR)/demo/enlarged.png"
	@echo "beside the input and bicubic:      $(CURDIR)/demo/side-by-side.png"

# make test ARGS="tests/model -k grid" runs what it names, long ones too.
test: ARGS ?= -m "not long"
test: $(DEV) ## Run the tests but the long ones, or those of ARGS.
	$(PYTEST) $(ARGS)

long: $(DEV) ## Run the long tests only.
	$(PYTEST) -m long

fuzz: $(DEV) ## Damage 10,000 files and kill 200 runs: the long forms of tests/test_faults.py.
	$(BIN)/python tests/fuzz.py --files 10000
	OMP_NUM_THREADS=1 $(BIN)/python tests/kill.py --trials 200

# make pages ARGS="--model elastic --effort 0.25": the long form of tests/upscaling/test_pages.py
pages: ARGS ?= --pages 100
pages: $(DEV) ## Compose pages of photos and patterns: what these do to the rest, by model.
	$(BIN)/python tests/pages.py $(ARGS)

check: test lint types docs long ## Run all that CI runs.

lint: $(DEV) ## Check the code and its layout with ruff.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV) ## Check the types with mypy.
	$(BIN)/mypy

format: $(DEV) ## Correct what ruff can correct.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV) ## Build the pages of the docstrings in build/docs.
	rm -rf build/docs
	$(BIN)/python docs/pages.py build/docs
	@echo "the pages: $(CURDIR)/build/docs/index.html"

man: $(DEV) ## Write the manual page build/ccsr.1 from the parsers.
	$(BIN)/python docs/man.py build/ccsr.1
	@echo "the page: man -l $(CURDIR)/build/ccsr.1"

# make train ARGS="model=base trainer.max_steps=20000"
train: $(DEV) ## Train a network with the settings of ARGS.
	$(BIN)/ccsr train $(ARGS)

# Speed against Lanczos, LIIF and the bound, a few minutes; the results are in benchmarks/RESULTS.md.
# make bench ARGS="memory --gigapixel", make bench ARGS=training
bench: $(DEV) ## Measure speed, or what ARGS names, and write benchmarks/RESULTS.md.
	$(BIN)/python -m benchmarks $(ARGS)

# WHEEL_SHARES_VENV=1 lets the new environment see the packages of .venv, to save the downloads.
wheel: man ## Build sdist and wheel, and use the wheel in a new environment.
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	PYTHON=$(BIN)/python .ci/try dist/*.whl

# Beside `make wheel`: the same package with onnxruntime instead of torch; docs/install.md says why.
small: $(DEV) ## Build the wheel of ccsr-onnx, which needs no torch, in build/onnx, and use it likewise.
	rm -rf build/onnx
	$(BIN)/python -m build --wheel --outdir build/onnx deploy/onnx
	PYTHON=$(BIN)/python .ci/try build/onnx/*.whl

# python -m http.server -d build/site shows it; any web server can hold it.
site: $(DEV) ## Build a page that needs no server, in build/site; npm must be there.
	$(BIN)/python site/build.py build/site

# They are made of the checkpoints, and a test says if they are no longer those.
onnx: $(DEV) ## Write the files of the engine onnx, checkpoints/*.onnx, anew.
	for model in light photo; do \
		$(BIN)/ccsr export --model $$model --window -o checkpoints/$$model.onnx --exists overwrite || exit 1; done

release: ## Build and try what a release of this commit's tag consists of; nothing is uploaded.
	.ci/release

clean: ## Remove what was built, and the caches.
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
