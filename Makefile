# make demo   installs into .venv and runs the demo
# make test   installs into .venv and checks everything, on every backend
#             (make test BACKEND=jax: all the tests on one backend)
# make battery   checks many models, trainings and optimizers, and writes docs/RELIABILITY.md
# make test-oldest   runs the tests of the core with the oldest releases that pyproject.toml allows
# make viewer    checks the viewer's JavaScript, as make test does; make bundle bundles it anew
# make docs      builds the site in docs/_build/html, as make test does
# make notebooks   makes the tutorials' notebooks from their texts, and runs them in full

VENV := .venv
BIN := $(VENV)/bin
BACKEND ?= all
# Many processes import the package, and each would compile it anew.
unexport PYTHONDONTWRITEBYTECODE
# The tests whose outcome depends on the Keras backend; the others run on TensorFlow only.
BACKEND_TESTS := tests/backend tests/battery/test_battery.py tests/callbacks \
                 tests/docs/test_recipes.py tests/freezing \
                 tests/lab/test_training.py tests/lab/test_depth_lab.py tests/landscape \
                 tests/response tests/similarity tests/synthetic tests/training \
                 tests/vision/networks tests/vision/test_data.py tests/vision/test_experiment.py
OLDEST := .venv-oldest
OLDEST_TESTS := tests/analysis tests/backend tests/callbacks tests/freezing tests/quantities \
                tests/runs tests/training

# Three processes for two cores, since tests also wait for browsers and for other processes, of one
# thread each: more threads would only wait for one another. A process takes tests that stand side
# by side, which share fixtures.
PYTEST := TF_CPP_MIN_LOG_LEVEL=2 OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 \
          TF_NUM_INTEROP_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal -q

# A warning is an error, but the others are told, too. Nothing is fetched.
SPHINX := TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m sphinx -q -W --keep-going -n

# XLA spends most of the tests' time on optimizing programs that run once, and on compiling programs
# that another test, or the last run, has compiled before.
FOR_JAX := XLA_FLAGS="--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true" \
           JAX_COMPILATION_CACHE_DIR=$(abspath $(VENV))/jax-cache \
           JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 \
           JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1

# Node comes with the packages for tests, what the viewer is made of from viewer/package-lock.json.
NPM := PATH="$(abspath $(BIN)):$$PATH" $(BIN)/npm --prefix viewer

.PHONY: demo test lint viewer docs bundle battery notebooks clean test-all test-tensorflow test-jax \
        test-torch test-oldest

demo: $(VENV)/installed
	@$(BIN)/keras-lcb demo
	@echo "Predict and play through hundreds of other trainings: open docs/atlas/index.html"

test: lint viewer docs test-$(BACKEND)

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

viewer: viewer/node_modules/.package-lock.json
	$(NPM) run --silent check

# Only what changed is built again, and only scripts of the gallery that changed are run.
SITE_SOURCES := $(shell find docs keras_lcb \( -name _build -o -name generated -o -name __pycache__ \) \
                        -prune -o -type f -print) $(wildcard tutorials/*.ipynb) ARCHITECTURE.md

docs: docs/_build/built

docs/_build/built: $(SITE_SOURCES) $(VENV)/installed-for-tests
	$(SPHINX) docs docs/_build/html
	@touch $@

bundle: viewer/node_modules/.package-lock.json
	$(NPM) run --silent build
	cp $(addprefix keras_lcb/viewer/static/,atlas.js atlas.css viewer.css) docs/atlas/

viewer/node_modules/.package-lock.json: viewer/package-lock.json $(VENV)/installed-for-tests
	@$(NPM) ci --loglevel=error --no-fund --no-audit
	@touch $@

test-all: $(VENV)/installed-for-tests viewer/node_modules/.package-lock.json
	KERAS_BACKEND=tensorflow $(PYTEST)
	KERAS_BACKEND=jax $(FOR_JAX) $(PYTEST) $(BACKEND_TESTS)
	KERAS_BACKEND=torch $(PYTEST) $(BACKEND_TESTS)

test-tensorflow test-jax test-torch: test-%: $(VENV)/installed-for-tests viewer/node_modules/.package-lock.json
	KERAS_BACKEND=$* $(PYTEST)

# torch from the package index brings CUDA's libraries: several GB the first time. The oldest one
# waits for ever, now and then, for the processes in which it compiles; so it compiles in its own.
test-oldest: $(OLDEST)/installed
	for backend in tensorflow jax torch; do \
	    TORCHINDUCTOR_COMPILE_THREADS=1 KERAS_BACKEND=$$backend $(subst $(BIN),$(OLDEST)/bin,$(PYTEST)) $(OLDEST_TESTS) || exit 1; \
	done

$(OLDEST)/installed: pyproject.toml tests/oldest.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(OLDEST)
	$(BIN)/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct \
	    --requirement tests/oldest.txt --editable '.[jax,torch]'
	@touch $@

battery: $(VENV)/installed-for-tests
	$(BIN)/python -m battery

notebooks: $(VENV)/installed-for-tests
	$(BIN)/python tutorials/build.py

# The stamps keep a second run from installing again.
$(VENV)/installed: pyproject.toml setup.py | $(BIN)/python
	@echo "installing the package and what it needs: a few minutes the first time"
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/installed-for-tests: pyproject.toml setup.py tests/constraints.txt | $(BIN)/python
	@echo "installing the package and what its tests need: a few minutes the first time"
	@$(BIN)/python -m pip install --quiet --editable '.[dev,jax,torch]' -c tests/constraints.txt
	@touch $(VENV)/installed $@

$(BIN)/python:
	@for python in python3.11 python3.12 python3.13 python3; do \
	    if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "making $(VENV) with $$($$python --version)" && exec $$python -m venv $(VENV); \
	    fi; \
	done; \
	echo "Python 3.11 or newer, with its venv module, was not found: install it (on Debian: apt install python3 python3-venv)." >&2; \
	exit 1

clean:
	rm -rf $(VENV) build dist demo docs/_build docs/generated viewer/node_modules *.egg-info
