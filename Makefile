# make install: make the environment .venv with the package and the pose estimator
# make UV=1 install (or any other target): the same with uv, which must be there; same locks and hashes
# make submission: run the demo, from videos to results/tracks/*/submission.csv
# make test: lint and all tests but the next three
# make test-tasks: test estimator: mediapipe_tasks with its release of MediaPipe
# make test-slurm: run the workflow on a SLURM cluster that the tests start; needs Debian's slurm-wlm
# make test-load: run 2,000 clips end to end and watch memory and disk; about ten minutes
# make test-gpu: run the tests marked gpu and measure training at AUTSL's sizes; needs a GPU, under ten minutes
# make gpu-wheels: download what a machine with PyTorch alone lacks for make test-gpu
# make lock: write requirements/*.lock; needs uv
# make benchmarks: measure speed and accuracy of the features, as in docs/RESULTS.md
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)
BIN := .venv/bin
ifdef UV
PIP := uv pip install --quiet --python $(BIN)/python
else
PIP := $(BIN)/python -P -m pip install --quiet --disable-pip-version-check --no-compile
endif

.PHONY: install submission test test-tasks test-slurm test-load test-gpu gpu-wheels lint lock docs demo-data benchmarks

install: .venv/installed

submission: .venv/installed
	$(BIN)/snakemake --cores all --resources gpu=1 submission report
	@echo "Submissions and metrics: $$(ls results/tracks/*/* | tr '\n' ' ')"
	@echo "Report page: results/report/index.html"

test: lint
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Both releases of MediaPipe have one name, so this one goes into a folder that hides that of .venv.
TASKS := build/mediapipe-tasks
test-tasks: $(TASKS)/installed
	PYTHONPATH=$(TASKS) $(BIN)/pytest tests/pose/test_mediapipe.py

$(TASKS)/installed: .venv/installed-test requirements/tasks.lock
	rm -rf $(TASKS)
	$(PIP) --no-deps --require-hashes --target $(TASKS) -r requirements/tasks.lock
	touch $@

test-slurm: .venv/installed-test
	$(BIN)/pytest -m slurm tests/slurm

test-load: .venv/installed-test
	$(BIN)/pytest -s -m load tests/load

# Another Python than that of .venv: one with PyTorch and pytest is enough.
GPU_PYTHON ?= $(firstword $(wildcard $(BIN)/python) python3)
test-gpu:
	@$(GPU_PYTHON) -m benchmarks.gpu_machine

GPU_PACKAGES := annotated-types lightning-fabric lightning-utilities pydantic pydantic-core \
	simplejpeg typing-extensions typing-inspection zlib-ng
gpu-wheels:
	mkdir -p build/gpu-wheels
	awk -v names=" $(GPU_PACKAGES) " '/^[^ ]/ {split($$1, part, "=="); take = index(names, " " part[1] " ")} take' \
		requirements/run.lock > build/gpu-wheels/gpu.lock
	$(PYTHON) -P -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
		--implementation cp --python-version 3.12 --platform manylinux_2_17_x86_64 \
		--dest build/gpu-wheels -r build/gpu-wheels/gpu.lock

lint: .venv/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

docs: .venv/installed
	$(BIN)/slr docs

benchmarks: .venv/installed-test
	$(BIN)/snakemake features --cores 2 --quiet all
	$(BIN)/python -m benchmarks.pose accuracy --demo demo --keypoints results/features/keypoints/*/*.h5
	$(BIN)/python -m benchmarks.pose speed
	$(BIN)/python -m benchmarks.features
	$(BIN)/python -m benchmarks.rates
	$(BIN)/python -m benchmarks.flow
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.hha

demo-data: .venv/installed-test
	PYTHONPATH=demo $(BIN)/python -m renderer.dataset --out demo

# The scripts of .venv name its folder: those of a copied or moved .venv run the code of another one.
ifneq ($(shell test ! -e $(BIN)/slr || { test -x $(BIN)/python && grep -qF "$(CURDIR)/$(BIN)/python" $(BIN)/slr; } \
	|| echo moved),)
.venv/installed: discard
.PHONY: discard
discard:
	rm -rf .venv
endif

# The locks check a hash of each package. torch only has a version: each machine needs its own build.
# pip compiles on one core. Some files are for newer versions of Python: their errors do not matter.
.venv/installed: pyproject.toml requirements/constraints.txt requirements/pip.lock requirements/run.lock
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or 3.12 is needed, found none; give its path, or that of Python 3.13 if estimator: mediapipe is not used: make PYTHON=/path/to/python"; exit 1; }
	@test -z "$(UV)" || command -v uv > /dev/null || { echo "error: UV=1 needs uv, which is not on PATH; install it, or leave UV=1 out"; exit 1; }
	@echo "Installing into .venv; this takes a few minutes the first time."
	$(PYTHON) -P -m venv .venv
	$(PIP) --no-deps --require-hashes -r requirements/pip.lock
	$(PIP) --no-deps --require-hashes -r requirements/run.lock
	$(PIP) -c requirements/constraints.txt -e .
	$(BIN)/python -P -m compileall -qq -j 0 -x '/tests?/' .venv/lib || true
	touch $@

.venv/installed-test: .venv/installed requirements/test.lock
	$(PIP) --no-deps --require-hashes -r requirements/test.lock
	touch $@

LOCK := .venv/lock/bin/python -P -m pip --disable-pip-version-check
LIST := grep ^mediapipe requirements/pose.txt; $(LOCK) list --format freeze --exclude-editable --exclude pip \
	--exclude torch --exclude mediapipe
HASHES := grep -vE '^(cuda|nvidia|triton)' | uv pip compile --quiet --no-deps --universal --generate-hashes \
	--no-annotate --custom-compile-command 'make lock' -
lock:
	$(PYTHON) -P -m venv --clear .venv/lock
	$(LOCK) install --quiet -c requirements/constraints.txt -e .
	$(LOCK) install --quiet --no-deps -r requirements/pose.txt
	grep ^pip== requirements/constraints.txt | $(HASHES) -o requirements/pip.lock
	{ $(LIST); } | $(HASHES) -o requirements/run.lock
	$(LOCK) install --quiet -c requirements/constraints.txt -e '.[test,render,formats,slurm,mmpose,onnx]'
	$(LOCK) install --quiet --no-deps -r requirements/mmpose.txt
	{ $(LIST); } | $(HASHES) -o requirements/test.lock
	grep == requirements/tasks.txt | $(HASHES) -o requirements/tasks.lock
	rm -r .venv/lock
