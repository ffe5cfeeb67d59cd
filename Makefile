# openaisle: everything a person runs, by name. Each target sets up what it needs.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/pip install --quiet --disable-pip-version-check
CORE := $(VENV)/.core
DEV := $(VENV)/.dev
YOLO := $(VENV)/.yolo

.PHONY: test lint test-yolo bench demo clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# --no-deps on pinned files keeps one OpenCV wheel instead of three that overwrite each other, and no CUDA.
$(CORE): requirements/core.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) --no-deps -r requirements/core.txt
	$(PIP) --no-deps --no-build-isolation -e . || $(PIP) --no-deps -e .
	touch $@

$(DEV): requirements/dev.txt $(CORE)
	$(PIP) --no-deps -r requirements/dev.txt
	touch $@

# torch alone is installed with its dependencies: what they are differs between a CPU and a CUDA build.
$(YOLO): requirements/yolo.txt requirements/torch.txt $(DEV)
	$(PIP) -r requirements/torch.txt
	$(PIP) --no-deps -r requirements/yolo.txt
	touch $@
