# `make help` lists what there is. Everything sets itself up first, in .venv.
#   PYTHON=python3.11     the Python that .venv is made with (3.10 to 3.12), the first time
#   MMCV_WHEEL=FILE       a wheel of mmcv, instead of building it
#   PY=/path/to/python    an environment of your own, instead of .venv: nothing is set up
PYTHON ?= $(firstword $(wildcard .venv/bin/python) python3)
ifdef PY
  SETUP :=
else
  PY := .venv/bin/python
  SETUP := setup
endif

.PHONY: help setup doctor demo erf-study study test-fast test test-security test-security-long test-faults test-openmmlab test-drop-in check format clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 10

setup:  ## Make or update .venv: 5 to 15 minutes the first time
	@$(PYTHON) tools/setup_env.py $(if $(MMCV_WHEEL),--mmcv $(MMCV_WHEEL))

doctor: $(SETUP)  ## Say whether this installation can train, and what to do if not; seconds
	@$(PY) -W ignore -m mmgab.doctor

demo: $(SETUP)  ## Train and evaluate on real nuclei: boxes, masks, pixels, pictures; 5 minutes
	$(PY) -W ignore tools/demo.py

erf-study: $(SETUP)  ## Measure what docs/erf.md says about the paper's claims; 20 minutes
	$(PY) -W ignore -m projects.erf

study: $(SETUP)  ## Train all methods on all tasks over seeds, docs/study.md; 2 hours, goes on
	$(PY) -W ignore -m projects.study

test-fast: $(SETUP)  ## Tests that start no process and take no seconds each; 1 minute
	$(PY) -m pytest -m 'not (slow or process or browser or long)'

test: $(SETUP)  ## The whole test suite
	$(PY) -m pytest

test-openmmlab:  ## The whole test suite with OpenMMLab's own packages, in .venv-openmmlab
	@$(PYTHON) tools/setup_env.py --line openmmlab
	.venv-openmmlab/bin/python -m pytest

test-drop-in: $(SETUP)  ## Compile, quantise, shard and adapt SwinGAB beside the stock Swin; 15 minutes
	$(PY) -m pytest -m long tests/models

test-security: $(SETUP)  ## Read files that want to run code or claim too much, each in a process
	$(PY) -m pytest tests/security

test-security-long: $(SETUP)  ## Flip 100,000 bits in files of three formats; 3 minutes
	$(PY) -W ignore -m tests.security

test-faults: $(SETUP)  ## Kill real runs 200 times, damage 2,000 files: nothing may be lost; 30 minutes
	$(PY) -W ignore -m tests.faults
	$(PY) -m pytest -m long tests/reliability
	$(PY) -m pytest tests/fuzz --hypothesis-profile=long

check: $(SETUP)  ## Format, lint, types, architecture; seconds, the first time half a minute
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -n 0 tests/test_architecture.py tests/test_attention_path.py

format: $(SETUP)  ## Apply the format
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:  ## Remove .venv, data and work dirs that were made here
	rm -rf .venv .venv-openmmlab data/nuclei data/digits work_dirs/demo work_dirs/study build dist *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
