# openaisle: everything a person runs, by name. Each target sets up what it needs.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
CORE := $(VENV)/.core
DEV := $(VENV)/.dev
YOLO := $(VENV)/.yolo

.PHONY: test lint test-yolo soak fuzz intervals bench bench-latency bench-erasure kills demo clean

test: lint
	$(BIN)/pytest -m "not yolo" -n 2 --dist loadfile $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-yolo: $(YOLO)
	$(BIN)/pytest -m yolo $(ARGS)

# What the suite only samples, whole: 10,000 runs of the consent machine and 10,000 changed proofs, every bit, deletion
# and fork of an exported log, a bit of every byte of a backup. An hour or so on two cores.
soak: $(DEV) intervals
	OPENAISLE_RUNS=10000 $(BIN)/pytest --timeout 0 -s tests/consent/test_model.py tests/consent/test_merkle.py $(ARGS)
	OPENAISLE_EVERY_BIT=1 $(BIN)/pytest --timeout 0 -s tests/consent/test_log.py tests/retention/test_backup.py -k 'test_log.py or flipped' $(ARGS)
	OPENAISLE_RUNS=1000 $(BIN)/pytest --timeout 0 tests/analytics/test_latency.py $(ARGS)

# Whether intervals hold the truth as often as they say: 500 replays with lost tracks, and twice 500 pages on which
# nothing differs. Half an hour on two cores.
intervals: $(DEV)
	OPENAISLE_RUNS=500 $(BIN)/pytest --timeout 0 -s tests/analytics/test_track_loss.py $(ARGS)
	OPENAISLE_PAGES=500 $(BIN)/pytest --timeout 0 -s tests/analytics/test_advice.py $(ARGS)

# Hundreds of generated questions of each kind to the HTTP API of a running dashboard; ten minutes or so on two cores.
fuzz: $(DEV)
	OPENAISLE_RUNS=500 $(BIN)/pytest --timeout 0 tests/analytics/test_api.py -k running_dashboard $(ARGS)

# From a tap on "stop" to the gate shut, a thousand times, while the cameras are watched.
bench-latency: $(DEV)
	$(BIN)/python -m tests.bench.stop_latency $(ARGS)

# Ten million rows on this disk, watch and dashboard beside them; some ten minutes.
bench-erasure: $(DEV)
	$(BIN)/python -m tests.bench.erasure $(ARGS)

# kill -9 two hundred times in an erasure.
kills: $(DEV)
	OPENAISLE_RUNS=200 $(BIN)/pytest tests/retention/test_kills.py -s --timeout=3600 $(ARGS)

bench: $(YOLO)
	$(BIN)/python -m tests.bench.bench $(ARGS)
	$(BIN)/python -m tests.bench.person
	$(BIN)/python -m tests.bench.pose
	$(BIN)/python -m tests.bench.erasure

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# --no-deps on pinned files keeps one OpenCV wheel instead of three that overwrite each other.
$(CORE): requirements/build.txt requirements/core.txt pyproject.toml | $(BIN)/python
	$(PIP) --no-deps -r requirements/build.txt -r requirements/core.txt
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(DEV): requirements/dev.txt $(CORE)
	$(PIP) --no-deps -r requirements/dev.txt
	touch $@

# torch alone comes with its dependencies: what they are differs between a CPU and a CUDA build.
$(YOLO): requirements/torch.txt requirements/yolo.txt $(DEV)
	$(PIP) -r requirements/torch.txt
	$(PIP) --no-deps -r requirements/yolo.txt
	touch $@

# The simulated shop against its truth, then the pages until Ctrl-C: make demo ARGS=--headless ends instead.
demo: $(CORE)
	@$(BIN)/openaisle demo $(ARGS)
