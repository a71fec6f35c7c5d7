# Targets for users. Each installs what it needs into .venv.
#   make repro             install, run the pipeline, print the comparison (PROFILE=name uses another profile)
#   make ui                open MLflow on the runs
#   make test              install and run all tests, including a real run of the pipeline from a clean clone
#   make test-vllm         in .venv-vllm, without a GPU: the engines' tests with vLLM, an iteration of the pipeline with
#                          it, and QLoRA
#   make check             check style, types, and that generated documents are up to date
#   make bench             the benchmarks that fit in 20 minutes on two idle cores (docs/performance.md)
#   make bench-long        the other benchmarks: mixed training pairs, a 0.5B model's shape, a million rows
#   make bench-vllm        compare our vLLM engine with vLLM itself
#   make study             test the paper's claims in the lab by `dvc exp`, which writes docs/study.md (40 minutes)
#   make chaos             kill the pipeline, give it bad input, remove what it needs: docs/reliability.md (15 minutes)
#   make soak              run two hundred iterations in one process, whose memory and open files must not grow
#   make fuzz              search for input that breaks the readers and parsers, longer than the tests do
#   make vulnerabilities   look up the locked dependencies in the public lists of vulnerabilities (needs a network)
#   make lock              resolve the dependencies again

PYTHON ?= python3.11
PROFILE ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV := uv==0.13.9

# vLLM's CPU build pins packages that the tests do not need, so it gets its own environment.
VLLM := .venv-vllm
VLLM_LOCK := tests/engines/requirements-vllm.lock
VLLM_PIP := $(VLLM)/bin/python -m pip --disable-pip-version-check --quiet

# torch and the libraries of its CUDA build are not in the lock, since the right build depends on the machine.
# Its version is pinned in pyproject.toml.
TORCH := $(shell sed -n 's/^ *"\(torch==[0-9.]*\)",/\1/p' pyproject.toml)
CUDA := cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc \
        nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver \
        nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx triton

SOAK := LIDR_SOAK_ITERATIONS=200 LIDR_SOAK_RESULTS=$(CURDIR)/benchmarks/results/soak.json

export PATH := $(abspath $(BIN)):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: repro ui test test-vllm check bench bench-long bench-vllm study chaos chaos-kills chaos-rest soak fuzz vulnerabilities lock install

repro: install
ifneq ($(PROFILE),)
	lidr profile use $(PROFILE)
endif
	dvc repro
	-@lidr track
	@lidr compare --show

ui: install
	lidr ui

# Two processes with one thread each, because more would wait for each other. The slowest files start first.
PYTEST := -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test test-vllm: export OMP_NUM_THREADS := 1
# Where a container sets it, each of a hundred processes would compile the code again.
test test-vllm: export PYTHONDONTWRITEBYTECODE :=

test: install
	python $(PYTEST)

# `make test` runs the other engines' tests, which need no vLLM. bitsandbytes is only here, because every import of PEFT
# would load it too.
test-vllm: $(VLLM)/installed
	$(VLLM)/bin/python $(PYTEST) tests/engines tests/training/test_quantization.py -k 'vllm or quanti' --durations=15

check: install
	ruff check .
	ruff format --check .
	mypy
	python docs/generate.py --check

bench: install
	python benchmarks/training.py --sets lab
	python benchmarks/generation.py
	python benchmarks/rows.py --rows 10000
	python docs/generate.py

bench-long: install
	python benchmarks/training.py
	python benchmarks/generation_half.py
	python benchmarks/rows.py
	python docs/generate.py

bench-vllm: $(VLLM)/installed
	$(VLLM)/bin/python benchmarks/generation_vllm.py
	$(VLLM)/bin/python docs/generate.py

# Two arms run at once, with one thread each.
study: export OMP_NUM_THREADS := 1

study: install
	python docs/study/run.py

fuzz: install
	LIDR_FUZZ_EXAMPLES=20000 python -m pytest -q tests/reliability/test_fuzz.py

# The two parts can also be run separately.
chaos: install
	status=0; \
	$(MAKE) chaos-kills || status=$$?; \
	$(MAKE) chaos-rest || status=$$?; \
	exit $$status

chaos-kills: install
	LIDR_CHAOS_KILLS=30 python -m pytest tests/pipeline/test_kills.py

chaos-rest: install
	LIDR_FUZZ_SECONDS=60 LIDR_CHAOS_EVERY=1 $(SOAK) \
	  python -m pytest tests/reliability tests/tracking tests/evaluation/test_judges.py tests/engines/test_transformers.py

soak: install
	$(SOAK) python -m pytest -s tests/reliability/test_soak.py

vulnerabilities: install
	$(PIP) install pip-audit
	$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements.lock

install: $(VENV)/installed

# uv downloads in parallel, with each version from the lock. torch comes from the index that pip uses on this machine.
# Bytecode is compiled once here, because that makes the imports of every stage faster.
$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --compile-bytecode --require-hashes -r requirements.lock
	$(PIP) install $(TORCH)
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VLLM)/installed: $(VLLM_LOCK) pyproject.toml
	$(PYTHON) -m venv $(VLLM)
	$(VLLM_PIP) install $(UV)
	$(VLLM)/bin/uv pip install --quiet --python $(VLLM)/bin/python --no-deps --require-hashes -r $(VLLM_LOCK)
	$(VLLM_PIP) install $(TORCH)
	$(VLLM_PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

COMPILE = $(BIN)/uv pip compile pyproject.toml --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-annotate --custom-compile-command 'make lock' $(foreach package,torch $(CUDA),--no-emit-package $(package))

lock: install
	$(COMPILE) --extra dev --universal --output-file requirements.lock
	@# Versions are those of the main lock, except those that vLLM overrides.
	cp requirements.lock $(VLLM_LOCK)
	$(COMPILE) tests/engines/requirements-vllm.in --override tests/engines/requirements-vllm.overrides \
	  --python-platform x86_64-manylinux_2_28 --output-file $(VLLM_LOCK)
