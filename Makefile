# `make help` lists the targets. The first run creates .venv (7 GB, 5 to 15 minutes).
#   PYTHON=python3.11     Python (3.10 to 3.12) to create .venv with
#   MMCV_WHEEL=FILE       wheel of mmcv to install instead of building mmcv
#   PY=/path/to/python    Python of an existing environment to use instead of .venv
PYTHON ?= $(firstword $(wildcard .venv/bin/python) python3)
ifdef PY
  SETUP :=
else
  PY := .venv/bin/python
  SETUP := setup
endif

.PHONY: help setup doctor demo docs erf-study study test-fast test test-security test-security-long test-faults test-openmmlab test-drop-in test-docs test-gpu benchmark-gpu check format clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 20

setup:  ## Create or update .venv; 5 to 15 minutes the first time
	@$(PYTHON) tools/setup_env.py $(if $(MMCV_WHEEL),--mmcv $(MMCV_WHEEL))

doctor: $(SETUP)  ## Check that the installation can train, and print fixes; seconds
	@$(PY) -W ignore -m mmgab.doctor

demo: $(SETUP)  ## Train and evaluate a detector and a segmentor on real nuclei; 5 minutes
	$(PY) -W ignore tools/demo.py

docs: $(SETUP)  ## Build the documentation website in build/site; 3 minutes
	@$(PY) -m pip install -q -r requirements/docs.txt -c requirements/constraints.txt
	$(PY) -W ignore -m projects.site

erf-study: $(SETUP)  ## Reproduce the paper's claims on receptive fields (docs/erf.md); 20 minutes
	$(PY) -W ignore -m projects.erf

study: $(SETUP)  ## Train all methods on all tasks and seeds (docs/study.md); 2 hours, resumes
	$(PY) -W ignore -m projects.study

test-fast: $(SETUP)  ## Run the fast tests, without subprocesses and browsers; 1 minute
	$(PY) -m pytest -m 'not (slow or process or browser or long)'

test: $(SETUP)  ## Run the complete test suite
	$(PY) -m pytest

test-openmmlab:  ## Run the complete test suite with the original OpenMMLab packages
	@$(PYTHON) tools/setup_env.py --line openmmlab
	.venv-openmmlab/bin/python -m pytest

test-drop-in: $(SETUP)  ## Test compilation, quantization, sharding and adapters against stock Swin; 15 minutes
	$(PY) -m pytest -m long tests/models

test-docs: $(SETUP)  ## Run the commands of README and docs on small data; 20 minutes
	$(PY) -m pytest -n 0 -m long tests/docs

test-gpu: $(SETUP)  ## Test on an NVIDIA GPU: parity, mixed precision, graphs, NCCL, kernels
	$(PY) -m pytest -n 0 tests/gpu tests/kernels/test_triton_window_attention.py

benchmark-gpu: $(SETUP)  ## Measure the attention backends on an NVIDIA GPU
	$(PY) -W ignore -m projects.benchmark --only gpu --against mmdet 'timm, fused'

test-security: $(SETUP)  ## Load malicious checkpoints (pickle code, false sizes) in subprocesses
	$(PY) -m pytest tests/security

test-security-long: $(SETUP)  ## Fuzz checkpoints of three formats with 100,000 bit flips; 3 minutes
	$(PY) -W ignore -m tests.security

test-faults: $(SETUP)  ## Inject faults: kill runs 200 times, damage 2,000 files; 30 minutes
	$(PY) -W ignore -m tests.faults
	$(PY) -m pytest -m long tests/reliability
	$(PY) -m pytest tests/fuzz --hypothesis-profile=long

check: $(SETUP)  ## Check format, lint, types and architecture; 30 seconds the first time
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -n 0 tests/test_architecture.py tests/test_attention_path.py

format: $(SETUP)  ## Format the code and apply lint fixes
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:  ## Remove environments, generated data, work dirs of demo and study, and build files
	rm -rf .venv .venv-openmmlab data/nuclei data/digits work_dirs/demo work_dirs/study build dist *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
